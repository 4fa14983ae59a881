// SPDX-License-Identifier: Apache-2.0

// What an app does with this is in call(): a fetch of its own origin. All the
// rest shows what happened.

import { openPage, refused, send, showCaddyfile, showUser } from './session.js'
import { byId, make, say, show } from './show.js'

const calls = {
	participant: { method: 'GET', path: '/mdh/api/v1/delegated/participant' },
	answers: { method: 'GET', path: '/mdh/api/v1/delegated/surveyanswers' },
	event: { method: 'POST', path: '/mdh/api/v1/delegated/customevents', body: { eventType: 'DemoButtonPressed' } },
	everybody: { method: 'GET', path: '/mdh/api/v1/administration/projects/5f1d2c3b-0000-4000-8000-00000000a001/participants' },
}

const counters = {
	serviceTokens: 'Service tokens',
	participantTokens: 'Participant tokens',
	lookups: 'Participant lookups',
	delegated: 'API calls',
	unauthorized: '401 answers',
}

let last = calls.participant
let shownUser // undefined: not known yet
let before

const { on, later } = openPage(refresh, () => { shownUser = undefined })

for (const name of Object.keys(calls)) {
	on(`call-${name}`, () => counted(() => call(calls[name], 'call-outcome')))
}
on('call-again', () => counted(() => call(last, 'revoke-outcome')))
on('revoke', () => counted(revoke))
on('get-token', () => counted(getToken))

later(async () => {
	await refresh()
	await showCaddyfile()
})

async function call(what, outcome) {
	last = what
	const user = shownUser
	const { response, answer, took, shown } = await send(what)
	await refresh()
	if (shownUser !== user) {
		return // another tab signed in as somebody else: this is not theirs to see
	}
	const summary = `${what.method} ${what.path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, '…')}: ${response.status} ${response.statusText}, ${took} ms. ${verdict(response, answer)}`
	say('call-outcome', summary, !response.ok)
	if (outcome !== 'call-outcome') {
		say(outcome, `${response.status} ${response.statusText}, ${took} ms. ${verdict(response, answer)}`, !response.ok)
	}
	show('call-answer', shown)
	await compare()
}

function verdict(response, answer) {
	if (response.ok) {
		return `As ${answer?.participantIdentifier ?? shownUser}.`
	}
	return refused(response, answer)
}

async function revoke() {
	const response = await fetch('/demo/revoke', { method: 'POST' })
	if (response.ok) {
		say('revoke-outcome', 'Your token is revoked at MyDataHelps. Caddy does not know yet: call again.')
	} else {
		say('revoke-outcome', 'Sign in first: there is nobody whose token could be revoked.', true)
	}
}

async function getToken() {
	const user = shownUser
	const { response, answer, shown } = await send({ method: 'POST', path: '/mdh-token' })
	await refresh()
	if (shownUser !== user) {
		return
	}
	if (!response.ok) {
		say('token-outcome', `${response.status} ${response.statusText}. ${verdict(response, answer)}`, true)
		show('token-answer', shown)
	} else {
		answer.access_token = `${answer.access_token.slice(0, 6)}…` // shortened on this page only
		say('token-outcome', `A token of ${user} for ${answer.expires_in} seconds.`)
		show('token-answer', JSON.stringify(answer, null, 2))
	}
}

// counted remembers the counters before an action, to show what it caused.
async function counted(action) {
	before = (await state()).counts
	await action()
	await refresh()
}

const state = async () => (await fetch('/demo/state')).json()

async function refresh() {
	const { user, counts } = await state()
	if (user !== shownUser) {
		// Nothing of one person stays on the screen of the next.
		for (const id of ['call-outcome', 'revoke-outcome', 'token-outcome']) {
			say(id, '')
		}
		show('call-answer', '')
		show('token-answer', '')
		byId('comparison').hidden = true
		byId('steps-empty').hidden = false
		shownUser = user
		before = undefined
		showUser(user)
		document.body.dataset.user = user
	}
	before ??= counts
	byId('counts').replaceChildren(...Object.entries(counters).map(([key, label]) => {
		const more = counts[key] - before[key]
		return make('tr', {},
			make('th', { scope: 'row' }, label),
			make('td', {}, before[key]),
			make('td', {}, counts[key]),
			make('td', { className: more ? 'more' : '' }, more ? `+${more}` : 'same'),
		)
	}))
}

async function compare() {
	const { sent, steps, received } = await (await fetch('/demo/exchange')).json()
	if (!sent) {
		return
	}
	byId('steps-empty').hidden = true
	byId('comparison').hidden = false
	const there = received ? values(received) : {}
	const here = values(sent)
	byId('sent').replaceChildren(line(sent, ''), headers(sent, (name, value) => {
		if (name === 'Cookie') return ['stays', 'stays here: your session with the app']
		if (!received) return ['', '']
		if (name === 'Host') return ['stays', 'stays here']
		if (there[name] === value) return ['', 'passed on']
		return name in there ? ['stays', 'changed by Caddy'] : ['stays', 'stays here']
	}))
	if (received) {
		const path = sent.uri.endsWith(received.uri) && sent.uri !== received.uri ? 'prefix removed by Caddy' : ''
		byId('received').replaceChildren(line(received, path), headers(received, (name, value) => {
			if (name === 'Authorization') return ['added', 'added by Caddy: your token, never in your browser']
			if (name === 'Host') return ['added', 'set by Caddy']
			if (here[name] === value) return ['', 'from your browser']
			return ['added', name in here ? 'changed by Caddy' : 'added by Caddy']
		}))
	} else {
		byId('received').replaceChildren(make('p', {}, 'No call of yours: none was passed on.'))
	}
	byId('steps').replaceChildren(...steps.map((s) =>
		make('li', {}, make('strong', {}, s.what), ` ${s.status}`, make('br'), make('code', {}, `${s.method} ${s.uri}`))))
	byId('steps-none').hidden = steps.length > 0
}

const values = (message) => Object.fromEntries(message.headers.map((h) => [h.name, h.value]))

function line(message, note) {
	return make('code', { className: 'line' }, make('strong', {}, message.method), ` ${message.uri} `, note && make('span', { className: 'note added' }, note))
}

function headers(message, judge) {
	const first = (h) => h.name === 'Cookie' || h.name === 'Authorization'
	const sorted = message.headers.toSorted((a, b) => first(b) - first(a))
	return make('ul', { className: 'headers' }, ...sorted.map(({ name, value }) => {
		const [kind, note] = judge(name, value)
		return make('li', {},
			make('code', { className: 'name' }, `${name}:`), ' ', make('code', {}, value), ' ',
			note && make('span', { className: `note ${kind}` }, note))
	}))
}
