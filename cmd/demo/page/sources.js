// SPDX-License-Identifier: Apache-2.0

// What an app does with data sources is in connect(), disconnect() and call(), with
// connect.js of delegate_connect, which the page loads before this script. All the
// rest shows what happened.

import { exchangeOf, latest, parts } from './requests.js'
import { openPage, refused, send, showCaddyfile, showUser } from './session.js'
import { byId, make, parse, say, show } from './show.js'

const base = '/connect/sources/'

const rotates = 'OAuth 2, with a refresh token that is good once'
const sources = {
	wearable: { title: 'Pulse', how: rotates, values: 'GET measurements?limit=3', more: 'GET sleep?limit=3' },
	withings: { title: 'Withings', how: 'OAuth 2 in an envelope of its own', values: 'POST measure', more: 'GET activities?limit=3' },
	hospital: { title: 'St Mary\'s hospital', how: 'SMART on FHIR, found by discovery', values: 'GET Observation?_count=2', more: 'GET Patient' },
	old_lab: { title: 'Old lab', how: 'OAuth 1.0a: every call is signed', values: 'GET measurements?limit=3', more: 'GET activities?limit=3' },
}

const meanings = {
	none: 'not connected',
	pending: 'begun, not finished',
	connected: 'connected',
	update_required: 'connect again: the vendor has ended it',
}

let shownUser // undefined: not known yet
let shownStates

const chosen = byId('source')
chosen.append(...Object.entries(sources).map(([value, { title }]) => make('option', { value }, title)))

const { on, later } = openPage(refresh, () => { shownUser = undefined })

// Not one after the other, as the rest: what opens must open in the click.
byId('connect').addEventListener('click', connect)
chosen.addEventListener('change', () => later(async () => {
	forgetCall()
	await compare()
}))
on('call-values', () => call(sources[chosen.value].values))
on('call-more', () => call(sources[chosen.value].more))
on('call-denied', () => call('GET profile'))
on('expire', () => vendor('expire', 'The access token has expired. Call again: Caddy gets another first.'))
on('withdraw', () => vendor('withdraw', 'You have withdrawn at the vendor, which tells nobody. Call again: Caddy finds out.'))
on('disconnect', disconnect)

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
		onFinish: ({ sources: states }) => {
			const connected = Object.keys(states).filter((name) => states[name].status === 'connected')
			say('connect-outcome', connected.length ? `You have finished. Connected: ${connected.map((name) => sources[name].title).join(', ')}.` : 'You have finished. Nothing is connected.')
			later(refresh)
		},
		onClose: () => {
			say('connect-outcome', 'You have left the page of sources: nothing has changed.')
			later(refresh)
		},
		onError: (error) => {
			say('connect-outcome', error.code === 'popup_blocked' ? 'Your browser has blocked the window. Allow popups for this page.' : `Not connected, code ${error.code}.`, true)
			later(refresh)
		},
	})
}

async function disconnect() {
	const source = chosen.value
	const response = await fetch(base + source, { method: 'DELETE' })
	forgetCall()
	if (response.ok) {
		say('later-outcome', `Disconnected: Caddy has forgotten your tokens of ${sources[source].title}.`)
	} else {
		say('later-outcome', refused(response, parse(await response.text())), true)
	}
	await refresh()
}

// vendor has something happen at the vendor.
async function vendor(what, outcome) {
	const response = await fetch(`/demo/sources/${chosen.value}/${what}`, { method: 'POST' })
	const refusal = response.ok ? '' : await response.text()
	say('later-outcome', refusal ? `Not done: ${refusal.trim()}.` : outcome, Boolean(refusal))
	await refresh()
}

async function call(line) {
	const [method, rest] = line.split(' ')
	const user = shownUser
	const source = chosen.value
	const path = `/sources/${source}/${rest}`
	const { response, answer, took, shown } = await send({ method, path })
	await refresh()
	if (shownUser !== user || chosen.value !== source) {
		return // another tab signed in as somebody else: this is not theirs to see
	}
	const wait = response.headers.get('Retry-After')
	const verdict = response.ok ? 'As your account.' : `${refused(response, answer)}${wait ? ` Try again in ${wait} s.` : ''}`
	say('call-outcome', `${method} ${path}: ${response.status} ${response.statusText}, ${took} ms. ${verdict}`, !response.ok)
	show('call-answer', shown)
	await compare(true)
}

// compare shows how the chosen source was connected and, if asked to, the latest call.
async function compare(call) {
	const source = chosen.value
	const exchange = await exchangeOf(`sources/${source}`)
	if (chosen.value !== source) return
	const there = Boolean(exchange.asked)
	byId('exchange').hidden = !there
	byId('exchange-empty').hidden = there
	if (there) {
		const notes = {
			code: ['', 'from your browser, and used up'],
			oauth_verifier: ['', 'from your browser, and used up'],
			oauth_signature: ['added', 'made with two secrets that never were in your browser'],
		}
		const note = (part) => notes[part.name] ?? (part.unseen ? ['added', 'never in your browser'] : part.secret && ['', 'carried by your browser'])
		byId('back').replaceChildren(parts(exchange.back, (part) => part.secret && ['', 'good once, for this browser and user']))
		byId('asked').replaceChildren(parts(exchange.asked, note))
		byId('kept').replaceChildren(parts(exchange.kept, note))
	}
	if (call && exchange.sent) {
		const what = source === 'old_lab' ? 'the signature of this one call' : 'your access token'
		latest(exchange, 'The vendor', { Authorization: what }, 'the API\'s address in place of the source\'s name')
	}
}

async function refresh() {
	const { user } = await (await fetch('/demo/state')).json()
	if (user !== shownUser) {
		// Nothing of one person stays on the screen of the next.
		forgetCall()
		for (const id of ['connect-outcome', 'later-outcome']) say(id, '')
		shownUser = user
		shownStates = undefined
		showUser(user)
	}
	const response = user && await fetch(`${base}status`)
	const answer = response && response.ok ? await response.json() : { sources: {} }
	const states = JSON.stringify(answer.sources)
	if (states === shownStates) return
	shownStates = states
	byId('sources').replaceChildren(...Object.entries(sources).map(([name, { title, how }]) => {
		const state = answer.sources[name]
		const meaning = state ? `${meanings[state.status] ?? state.status}${state.status === 'connected' && state.account ? ` as ${state.account}` : ''}` : user ? 'unknown' : 'sign in first'
		return make('li', { id: `source-${name}` },
			make('strong', {}, title), ' ',
			make('span', { className: 'note' }, how), make('br'), meaning)
	}))
	await compare()
}

function forgetCall() {
	say('call-outcome', '')
	show('call-answer', '')
	byId('comparison').hidden = true
	byId('steps-empty').hidden = false
	for (const id of ['sent', 'received', 'steps', 'back', 'asked', 'kept']) byId(id).replaceChildren()
	byId('exchange').hidden = true
	byId('exchange-empty').hidden = false
}
