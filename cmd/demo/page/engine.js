// SPDX-License-Identifier: Apache-2.0

// The section "Watch the token engine work": presses switches and shows what
// the running Caddy and the platform count. None of it is made up here.

import { byId, make, say } from './show.js'

const switches = {
	'switch-carol': { name: 'carol', isOn: (s) => s.carol.on },
	'switch-short-tokens': { name: 'short-tokens', isOn: (s) => s.issuer.short },
	'switch-issuer-down': { name: 'issuer-down', isOn: (s) => s.issuer.down },
}
const buttons = [...Object.keys(switches), 'send-crowd', 'drop-tokens']

const onTheirWay = '1\u202f000 clients are on their way.'
const breaker = { closed: 'closed', open: 'open', half_open: 'half open' }

const caddyTiles = [
	{ label: 'Requests', value: (c) => c.requests },
	{ label: 'Tokens at hand', value: (c) => c.entries, note: 'the service token included' },
	{ label: 'Minted first', value: (c) => c.first, note: 'for who had none' },
	{ label: 'Minted ahead', value: (c) => c.ahead, note: 'while the old one still served' },
	{ label: 'Minted after 401', value: (c) => c.replaced, note: 'or when the old one ended too soon for an SDK' },
	{ label: 'Requests waiting now', value: (c) => c.waiting, note: 'for a token' },
	{ label: 'Refused from memory', value: (c) => c.remembered, note: 'a failure remembered, or the breaker open; refused lookups of people are not among them' },
	{ label: 'Mints that failed', value: (c) => c.failed, bad: (c) => c.failed > 0 },
	{ label: 'Requests refused', value: (c) => c.refused, note: 'for whatever reason' },
	{ label: 'Breaker', value: (c) => breaker[c.issuer.state], note: breakerNote, bad: (c) => c.issuer.state !== 'closed' },
]

const platformTiles = [
	{ label: 'Token calls', value: (i) => i.calls },
	{ label: 'Token calls now', value: (i) => i.now },
	{ label: 'Most at once', value: (i) => i.most, note: 'Caddy makes 16 at most' },
]

function breakerNote({ issuer }) {
	if (issuer.state === 'closed') return 'the issuer is asked'
	if (issuer.state === 'half_open') return 'the next call for a token tries the issuer'
	return `no call before ${new Date(issuer.until).toLocaleTimeString()}`
}

let state // the latest; undefined: not known
let pressed = 0 // actions of this page that are not done
let asked = 0 // how often the state was asked for
let shown = 0 // which of these answers is shown

for (const [id, { name, isOn }] of Object.entries(switches)) {
	on(id, () => post(`/demo/switch/${name}/${isOn(state) ? 'off' : 'on'}`))
}
on('send-crowd', async () => {
	say('crowd-outcome', onTheirWay)
	await post('/demo/crowd')
})
on('drop-tokens', () => post('/demo/drop'))
enable()
watch()

// on has a button do something. Disabled ones keep the focus: with the real
// attribute, who presses by key would have to start from the top of the page.
function on(id, action) {
	byId(id).addEventListener('click', async () => {
		if (byId(id).ariaDisabled === 'true') return
		pressed++
		enable()
		try {
			await action()
		} catch {
			lost()
		} finally {
			pressed--
			await look()
		}
	})
}

async function post(path) {
	const response = await fetch(path, { method: 'POST' })
	if (!response.ok && response.status !== 409) { // 409: somebody else was faster
		throw new Error(`${path}: ${response.status}`)
	}
}

async function watch() {
	for (;;) {
		if (!document.hidden) await look()
		await new Promise((done) => setTimeout(done, state?.running || pressed ? 200 : 1000))
	}
}

// look shows how things are. Answers may overtake each other: none may put an
// older one in a newer one's place.
async function look() {
	const turn = ++asked
	try {
		const response = await fetch('/demo/engine')
		if (!response.ok) throw new Error(String(response.status))
		const now = await response.json()
		if (turn < shown) return
		shown = turn
		const before = state
		state = now
		tiles('caddy-tiles', caddyTiles, now.caddy, before?.caddy)
		tiles('platform-tiles', platformTiles, now.issuer, before?.issuer)
		say('engine-story', story(now), now.issuer.down && now.caddy.issuer.state !== 'closed')
		if (now.running || !pressed) say('crowd-outcome', crowd(now))
		say('carol-outcome', carol(now), now.carol.on && now.carol.inRow > 0 && now.carol.last.status !== 200)
	} catch {
		lost()
	}
	enable()
}

function lost() {
	state = undefined
	say('engine-story', 'The demo does not answer. Is it still running?', true)
}

function enable() {
	const busy = pressed > 0 || !state || state.running
	for (const id of buttons) byId(id).ariaDisabled = String(busy)
	if (state) for (const [id, { isOn }] of Object.entries(switches)) byId(id).ariaChecked = String(isOn(state))
}

// tiles writes into the elements that are there: replacing them every second
// would take away what somebody has marked, or is being read.
function tiles(id, all, now, before) {
	const list = byId(id)
	if (!list.children.length) {
		list.append(...all.map(({ label }) => make('div', {}, make('dt', {}, label, make('small')), make('dd'))))
	}
	all.forEach(({ value, note, bad }, n) => {
		const tile = list.children[n]
		const text = (e, t) => e.textContent === t || (e.textContent = t)
		text(tile.querySelector('dd'), typeof value(now) === 'number' ? number(value(now)) : value(now))
		text(tile.querySelector('small'), (typeof note === 'function' ? note(now) : note) ?? '')
		tile.classList.toggle('more', before !== undefined && value(now) !== value(before))
		tile.classList.toggle('bad', Boolean(bad?.(now)))
	})
}

// story is the one line that says what to look for. It changes with the state
// only, not with every number: it is read out.
function story({ caddy, issuer, carol: { on: carolCalls, last, inRow }, running, latest }) {
	const shut = caddy.issuer.state !== 'closed'
	const hersIsShort = new Date(issuer.carolEnds) - Date.now() <= 30_000
	if (running) return 'They are on their way. Watch how few token calls it takes.'
	if (issuer.down && shut) return 'The issuer is down, and Caddy leaves it alone: who has a token still works, who needs a new one is refused at once.'
	if (issuer.down && caddy.entries === 0) return 'The issuer is down and there is no token. Send the clients: all of them are told so at once, for next to no token calls.'
	if (issuer.down && carolCalls && inRow && last.status !== 200) return 'The issuer is down, and Carol has no token that still serves. The others do not suffer for it.'
	if (issuer.down && carolCalls) return 'The issuer is down, and Carol still works: her token serves until it ends.'
	if (issuer.down) return 'The issuer is down, and nobody notices: tokens at hand still serve.'
	if (shut) return 'The issuer is back. One call finds out; until then, who needs a new token is refused.'
	if (carolCalls && issuer.short && !hersIsShort) return 'New tokens live 30 seconds, but Carol still has an old one. Drop all tokens to see hers renewed.'
	if (carolCalls && issuer.short) return 'Carol gets a new token about every 20 seconds, ahead of its end. None of her calls waits for it.'
	if (carolCalls) return 'Carol calls every second with the token at hand: requests rise, token calls do not.'
	if (issuer.short) return 'New tokens live 30 seconds; those at hand live on until you drop them. Let Carol use the app.'
	if (latest && caddy.entries > latest.people) return 'Tokens are at hand now. Send the clients again: it takes no token call.'
	return 'Send 1\u202f000 clients: each person gets one token, however many of their clients ask.'
}

function crowd({ running, latest }) {
	if (running) return onTheirWay
	if (!latest) return ''
	// Neither of them is Caddy Delegate's: it always gives a code.
	const exhausted = latest.refused['502'] || latest.refused.no_answer
	const refused = Object.entries(latest.refused).map(([code, n]) => `${number(n)} × ${code}`).join(', ')
	return `${number(latest.clients)} clients of ${latest.people} people: ${number(latest.good)} good answers, `
		+ `${refused ? `refused ${refused}` : 'none refused'}. Slowest answer ${number(Math.round(latest.slowest / 1000))} ms. `
		+ `The platform counted ${number(latest.calls)} token call${latest.calls === 1 ? '' : 's'} meanwhile${latest.most > 1 ? `, ${latest.most} at once` : ''}.`
		+ (exhausted ? ' 502 without a code, or no answer at all, means that this machine ran out of open files: stop the demo and start it after ulimit -n 8192.' : '')
}

function carol({ carol: { on: calls, last, inRow }, issuer }) {
	if (!calls) return 'Carol is not using the app.'
	if (!inRow) return 'Carol makes her first call.'
	const left = Math.ceil((new Date(issuer.carolEnds) - Date.now()) / 1000)
	let token = 'Her token has ended.'
	if (!issuer.carolEnds) token = 'She has no token.'
	else if (left > 0) token = `By the platform's word her token ends in ${left > 120 ? `${Math.round(left / 60)} minutes` : `${left} s`}.`
	return `Carol's latest call: ${last.status || ''} ${last.code ?? 'OK'}, ${number(Math.ceil(last.micros / 1000))} ms; ${inRow === 1 ? 'the first' : number(inRow)} like it in a row. ${token}`
}

function number(n) {
	return n.toLocaleString('en').replaceAll(',', '\u202f')
}
