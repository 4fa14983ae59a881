// SPDX-License-Identifier: Apache-2.0

// What all pages do with the app: signing in and out, and calls.

import { queue } from './queue.js'
import { byId, parse, say } from './show.js'

// openPage has the buttons sign in and out, and refreshes the page by and by: others
// may be using the demo as well, or this session in another tab. lost is called
// when the demo does not answer.
export function openPage(refresh, lost) {
	const { on, later } = queue(() => {
		lost()
		say('user', 'The demo does not answer. Is it still running?', true)
	})
	const post = (path, body) => async () => {
		await fetch(path, { method: 'POST', body })
		await refresh()
	}
	for (const user of ['alice', 'bob']) on(`sign-in-${user}`, post('/login', new URLSearchParams({ user })))
	on('sign-out', post('/logout'))
	setInterval(() => document.hidden || later(refresh), 2000)
	return { on, later }
}

export function showUser(user) {
	say('user', user ? `Signed in as ${user[0].toUpperCase()}${user.slice(1)}.` : 'Nobody is signed in.')
}

export async function showCaddyfile() {
	byId('caddyfile').textContent = await (await fetch('/demo/caddyfile')).text()
}

// send makes a call. shown is the answer as the page shows it, took its milliseconds.
export async function send({ method, path, body }) {
	const began = performance.now()
	const response = await fetch(path, {
		method,
		headers: body && { 'Content-Type': 'application/json' },
		body: body && JSON.stringify(body),
	})
	const text = await response.text()
	const took = Math.round(performance.now() - began)
	const answer = parse(text)
	return { response, answer, took, shown: answer === undefined ? text : JSON.stringify(answer, null, 2) }
}

export function refused(response, answer) {
	if (answer?.code) {
		return `Refused by Caddy, code ${answer.code}.`
	}
	return response.status === 401 ? 'Refused: nobody is signed in.' : 'Refused.'
}
