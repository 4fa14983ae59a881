// SPDX-License-Identifier: Apache-2.0

// Consent on another device: the code and the link for it, and the wait for
// what comes of it.

import { byId, make, parse } from './show.js'

let waiting // undefined: no code is shown

addEventListener('pagehide', hide)

// hide takes the code away, and nothing waits any more.
export function hide() {
	waiting?.abort()
	waiting = undefined
	byId('code').hidden = true
	byId('code').replaceChildren()
}

// offer shows where the other device has to go. Unless that is hidden before,
// ended is told of the last answer, by way of the page's queue.
export function offer({ url, qr, expires_in: seconds }, later, ended) {
	hide()
	byId('code').replaceChildren(
		make('img', { src: qr, alt: 'QR code of the link that follows' }),
		make('div', {},
			make('p', {}, `On the other device, read the code or open this link. It opens once, and is good for ${Math.round(seconds / 60)} minutes.`),
			make('p', {}, make('a', { href: url, target: '_blank' }, url)),
			make('p', {}, 'In this demo everything is on this machine, where a phone cannot reach it: open the link in another browser window, signed in as the same user.')))
	byId('code').hidden = false
	waiting = new AbortController()
	const { signal } = waiting
	const last = wait(Date.now() + seconds * 1000, signal)
	const end = () => later(async () => {
		if (signal.aborted) return
		hide()
		await ended(await last)
	})
	last.then(end, end)
}

// wait asks until the user is connected, or the time is up. Caddy answers when
// there is something new, or at once: to who has to consent again, or waits in
// many windows.
async function wait(until, signal) {
	for (;;) {
		const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000))
		const response = await fetch(`/connect/mydex/status?wait=${Math.min(20, seconds)}`, { signal })
		const answer = parse(await response.text())
		if (!response.ok || seconds === 0 || !['pending', 'update_required'].includes(answer.status)) {
			return { response, answer }
		}
		await new Promise((resolve) => { setTimeout(resolve, 1000) })
	}
}
