// SPDX-License-Identifier: Apache-2.0

// What an app does with Mydex is in begin(), disconnect(), call() and, in
// device.js, wait(): fetches of its own origin. All the rest shows what happened.

import { hide, offer } from './device.js'
import { exchangeOf, latest, parts } from './requests.js'
import { openPage, refused, send, showCaddyfile, showUser } from './session.js'
import { byId, parse, say, show } from './show.js'

const personal = '/pdx/api/pds/pds/me.json?dataset=ds_personal_details&instance=0'

const calls = {
	read: () => ({ method: 'GET', path: personal }),
	write: () => ({ method: 'POST', path: personal, body: { ds_personal_details: { field_personal_fname: byId('name').value } } }),
	add: () => ({ method: 'POST', path: '/pdx/calendar/add-event', body: event(byId('event').value) }),
	events: () => ({ method: 'GET', path: '/pdx/calendar/get-events' }),
	other: () => ({ method: 'GET', path: personal.replace('me.json', '4022.json') }),
}

const meanings = {
	none: 'No member is connected.',
	pending: 'A journey has begun that did not come back yet. Connect begins a new one.',
	connected: 'Caddy keeps the member\'s key.',
	update_required: 'Mydex does not accept the member\'s key any more: they have to consent again.',
}

const outcomes = {
	connected: 'You are back, and connected.',
	pending: 'You are back. Mydex has not told Caddy yet, or the member declined.',
	account_conflict: 'This member is connected by another user of the app.',
	consent_required: 'That journey was begun in another browser, or by another user.',
	session_required: 'You came back signed out: sign in as the same user, and you are connected.',
}

const secrets = {
	key: 'the member\'s key',
	'Connection-Token': 'the member\'s key',
	Authorization: 'the operator\'s token',
}

let shownUser // undefined: not known yet
let shownStatus

const { on, later } = openPage(refresh, () => { shownUser = undefined })

on('connect', () => leave('start'))
on('other', other)
on('more', () => leave('update'))
on('disconnect', disconnect)
on('withdraw', withdraw)
for (const name of Object.keys(calls)) {
	on(`call-${name}`, () => call(calls[name]()))
}
for (const form of document.forms) {
	form.addEventListener('submit', (e) => e.preventDefault()) // the button does it
}

later(async () => {
	await refresh()
	showOutcome()
	await showCaddyfile()
})

// showOutcome shows what came of the consent flow that led back to this page.
function showOutcome() {
	const outcome = new URLSearchParams(location.search).get('connect')
	if (outcome) {
		say('connect-outcome', outcomes[outcome] ?? `Not connected, code ${outcome}.`, outcome !== 'connected')
		history.replaceState(null, '', location.pathname)
	}
}

// begin asks for the platform's page; undefined is a refusal, which is shown.
async function begin(how) {
	hide()
	const response = await fetch(`/connect/mydex/${how}`, { method: 'POST' })
	const answer = parse(await response.text())
	if (response.ok) return answer
	say('connect-outcome', refused(response, answer), true)
}

async function leave(how) {
	const answer = await begin(how)
	if (!answer) return
	location.assign(answer.url)
	await new Promise(() => {}) // nothing more on this page
}

async function other() {
	if (shownStatus === 'connected') { // it would not change when the other device is back
		say('connect-outcome', 'You are connected: disconnect first.', true)
		return
	}
	const answer = await begin('start?device=other')
	if (!answer) return
	say('connect-outcome', 'Waiting for the other device.')
	offer(answer, later, ended)
	await refresh()
}

// ended tells what the waiting came to.
async function ended({ response, answer }) {
	if (!response.ok) {
		say('connect-outcome', refused(response, answer), true)
	} else if (answer.status === 'connected') {
		say('connect-outcome', 'You are connected, by the other device.')
	} else {
		say('connect-outcome', 'The other device did not come back in time: begin again.', true)
	}
	await refresh()
}

async function disconnect() {
	const response = await fetch('/connect/mydex/', { method: 'DELETE' })
	if (response.ok) {
		forget()
		say('connect-outcome', 'Disconnected: Caddy has forgotten the key.')
	} else {
		say('connect-outcome', refused(response, parse(await response.text())), true)
	}
	await refresh()
}

async function withdraw() {
	const response = await fetch('/demo/mydex/withdraw', { method: 'POST' })
	if (response.ok) {
		say('connect-outcome', 'The member has withdrawn at Mydex. Caddy does not know yet: call something.')
	} else {
		say('connect-outcome', 'Connect a member first: there is nobody who could withdraw.', true)
	}
}

async function call(what) {
	const user = shownUser
	const { response, answer, took, shown } = await send(what)
	await refresh()
	if (shownUser !== user) {
		return // another tab signed in as somebody else: this is not theirs to see
	}
	const verdict = response.ok ? 'As your member.' : refused(response, answer)
	say('call-outcome', `${what.method} ${what.path}: ${response.status} ${response.statusText}, ${took} ms. ${verdict}`, !response.ok)
	show('call-answer', shown)
	await compare(true)
}

// compare shows how the member was connected and, if asked to, the latest call.
async function compare(call) {
	const exchange = await exchangeOf('mydex')
	if (exchange.callback) {
		byId('journey-empty').hidden = true
		byId('journey').hidden = false
		const note = (part) => (part.unseen ? ['added', 'never in your browser'] : part.secret && ['', 'carried by your browser'])
		byId('setup').replaceChildren(parts(exchange.setup, note))
		byId('callback').replaceChildren(parts(exchange.callback, note))
	}
	if (call && exchange.sent) {
		latest(exchange, 'Mydex', secrets, exchange.sent.path.includes('/me.json') && !exchange.received?.path.includes('/me.json') ? 'prefix removed, and the member\'s uid in place of me' : undefined)
	}
}

function event(title) {
	const start = Math.floor(Date.now() / 1000) + 24 * 60 * 60
	return { title, start_timestamp: start, end_timestamp: start + 30 * 60, status: 'CONFIRMED' }
}

async function refresh() {
	const { user } = await (await fetch('/demo/state')).json()
	if (user !== shownUser) {
		// Nothing of one person stays on the screen of the next.
		forget()
		say('connect-outcome', '')
		shownUser = user
		shownStatus = undefined
		showUser(user)
	}
	let status = user ? 'unknown' : 'none'
	if (user) {
		const response = await fetch('/connect/mydex/status')
		if (response.ok) status = (await response.json()).status
	}
	if (status !== shownStatus) {
		shownStatus = status
		await compare(false)
	}
	byId('more').hidden = status !== 'connected'
	say('consent', status)
	say('consent-meaning', user ? meanings[status] ?? 'Caddy cannot tell.' : 'Sign in first.')
}

function forget() {
	hide()
	say('call-outcome', '')
	show('call-answer', '')
	byId('comparison').hidden = true
	byId('steps-empty').hidden = false
	byId('journey').hidden = true
	byId('journey-empty').hidden = false
	for (const id of ['sent', 'received', 'setup', 'callback', 'steps']) byId(id).replaceChildren()
}
