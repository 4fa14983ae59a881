// SPDX-License-Identifier: Apache-2.0

import { byId } from './show.js'

// queue does one action after the other: what is compared are two points in
// time. It calls lost when one fails.
export function queue(lost) {
	const main = document.querySelector('main')
	let last = Promise.resolve()
	let pending = 0

	const later = (action) => {
		last = last.then(action).catch(lost)
	}

	// on has a button do something. aria-busy: only what came of it is read out.
	const on = (id, action) => byId(id).addEventListener('click', () => {
		pending++
		main.ariaBusy = 'true'
		later(action)
		later(() => {
			if (--pending === 0) main.ariaBusy = 'false'
		})
	})

	return { on, later }
}
