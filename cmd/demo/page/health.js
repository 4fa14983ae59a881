// SPDX-License-Identifier: Apache-2.0

// What an app does with a Connect platform is in connect(), disconnect() and call(),
// with connect.js of delegate_connect, which the page loads before this script. All
// the rest shows what happened.

import { attack } from './attack.js'
import { exchangeOf, latest, parts } from './requests.js'
import { openPage, refused, send, showCaddyfile, showUser } from './session.js'
import { byId, parse, say, show } from './show.js'

const base = '/connect/health/'

const calls = {
	profile: '/health/v1/human/profile',
	weight: '/health/v1/human/weight?limit=3',
	activities: '/health/v1/human/activities?limit=3',
	glucose: '/health/v1/human/blood_glucose?limit=3',
	sources: '/health/v1/human/sources',
}

const meanings = {
	none: 'No account is connected.',
	pending: 'Caddy exchanges what the widget has given.',
	connected: 'Caddy keeps the account\'s access token.',
	update_required: 'The platform does not accept the access token any more: connect again.',
}

const failures = {
	account_conflict: 'This account is connected by another user of the app.',
	token_rejected: 'The platform does not take this token.',
	too_many_requests: 'You have begun too often: wait ten seconds.',
	widget_failed: 'The widget would not open or go on. Try once more: with the next click Caddy asks the platform for another public token.',
}

let shownUser // undefined: not known yet
let shownStatus

const { on, later } = openPage(refresh, () => { shownUser = undefined })

// Not one after the other, as the rest: what opens must open in the click.
byId('connect').addEventListener('click', connect)
on('disconnect', disconnect)
for (const [name, path] of Object.entries(calls)) {
	on(`call-${name}`, () => call({ method: 'GET', path }))
}
for (const from of ['again', 'another', 'carol']) {
	on(`attack-${from}`, async () => {
		const { user } = await (await fetch('/demo/state')).json()
		if (user !== shownUser) return refresh()
		// A token is handed over by who has begun to connect.
		if (from !== 'again') await fetch(`${base}start`, { method: 'POST' })
		await attack(from, `${base}redeem`)
		await refresh()
	})
}
overhear()

later(async () => {
	await refresh()
	await showCaddyfile()
})

function connect() {
	if (!shownUser) {
		say('connect-outcome', 'Sign in first.', true)
		return
	}
	say('connect-outcome', '')
	window.DelegateConnect.open({
		onFinish: () => {
			say('connect-outcome', 'You have finished, and are connected.')
			later(refresh)
		},
		onClose: () => say('connect-outcome', 'You have closed the widget: nothing has changed.'),
		onError: (error) => {
			say('connect-outcome', `Not connected, code ${error.code}. ${failures[error.code] ?? ''}`.trim(), true)
			later(refresh)
		},
	})
}

async function disconnect() {
	const response = await fetch(base, { method: 'DELETE' })
	if (response.ok) {
		forget()
		say('connect-outcome', 'Disconnected: Caddy has forgotten the access token.')
	} else {
		say('connect-outcome', refused(response, parse(await response.text())), true)
	}
	await refresh()
}

async function call(what) {
	const user = shownUser
	const { response, answer, took, shown } = await send(what)
	await refresh()
	if (shownUser !== user) {
		return // another tab signed in as somebody else: this is not theirs to see
	}
	const verdict = response.ok ? 'As your account.' : refused(response, answer)
	say('call-outcome', `${what.method} ${what.path}: ${response.status} ${response.statusText}, ${took} ms. ${verdict}`, !response.ok)
	show('call-answer', shown)
	await compare(true)
}

// overhear tells the demo which special token connect.js posts. Only a demo would
// keep it: it is how the page can show the token, and what became of it.
function overhear() {
	const ask = window.fetch
	window.fetch = async (address, options) => {
		const response = await ask(address, options)
		if (response.ok && new URL(address, location).pathname === `${base}redeem`) {
			await ask('/demo/health/held', { method: 'POST', body: new URLSearchParams({ token: JSON.parse(options.body).specialToken }) })
			await compare(false)
		}
		return response
	}
}

// compare shows how the special token was exchanged and, if asked to, the latest call.
async function compare(call) {
	const exchange = await exchangeOf('health')
	byId('exchange').hidden = !exchange.token
	byId('exchange-empty').hidden = Boolean(exchange.token)
	if (exchange.token) {
		byId('token').textContent = exchange.token
		const notes = {
			specialToken: ['', 'from your browser, and used up'],
			UserCode: ['added', 'stays in Caddy'],
			clientUserId: ['', 'as your widget was opened: so the token is yours'],
			publicToken: ['', 'passed on to your page, for the widget next time'],
		}
		const note = (part) => notes[part.name] ?? (part.unseen ? ['added', 'never in your browser'] : part.secret && ['', 'carried by your browser'])
		byId('asked').replaceChildren(parts(exchange.asked, note))
		byId('answered').replaceChildren(parts(exchange.answered, note))
	}
	if (call && exchange.sent) {
		latest(exchange, 'The platform', { Authorization: 'the account\'s access token' })
	}
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
		const response = await fetch(`${base}status`)
		if (response.ok) status = (await response.json()).status
	}
	if (status !== shownStatus) {
		shownStatus = status
		await compare(false)
	}
	say('consent', status)
	say('consent-meaning', user ? meanings[status] ?? 'Caddy cannot tell.' : 'Sign in first.')
}

function forget() {
	for (const id of ['call-outcome', 'attack-outcome', 'attack-asked']) say(id, '')
	for (const id of ['call-answer', 'attack-answer']) show(id, '')
	byId('comparison').hidden = true
	byId('steps-empty').hidden = false
	byId('exchange').hidden = true
	byId('exchange-empty').hidden = false
	byId('token').textContent = ''
	for (const id of ['sent', 'received', 'asked', 'answered', 'steps']) byId(id).replaceChildren()
}
