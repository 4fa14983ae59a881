// SPDX-License-Identifier: Apache-2.0

// Shows requests of both sides of Caddy side by side, for the pages about Mydex, about
// the Connect platform and about data sources.

import { byId, make } from './show.js'

// exchangeOf returns the latest call of the session at a platform, and how its user
// was connected.
export const exchangeOf = async (platform) => (await fetch(`/demo/${platform}/exchange`)).json()

// latest shows the latest call. secrets says by name what the platform's secrets are,
// place what Caddy has made of the path.
export function latest({ sent, steps, received }, platform, secrets, place = 'prefix removed by Caddy') {
	byId('steps-empty').hidden = true
	byId('comparison').hidden = false
	byId('secrets').textContent = received ? count(received, platform) : ''
	const there = received ? values(received.headers) : {}
	byId('sent').replaceChildren(line(sent, []),
		...query(sent, () => ['', received ? 'passed on' : '']),
		make('h4', {}, 'Headers'),
		parts(sent.headers, ({ name, value }) => {
			if (name === 'Cookie') return ['stays', 'stays here: your session with the app']
			if (!received) return ['', '']
			if (there[name] === value) return ['', 'passed on']
			return ['stays', name in there ? 'changed by Caddy' : 'stays here']
		}))
	byId('received').replaceChildren(...(received ? receivedParts(sent, received, secrets, place) : [make('p', {}, 'No call of yours: none was passed on.')]))
	byId('steps').replaceChildren(...steps.map((s) =>
		make('li', {}, make('strong', {}, s.what), ` ${s.status}`, make('br'), make('code', {}, `${s.method} ${s.uri}`))))
	byId('steps-none').hidden = steps.length > 0
}

function receivedParts(sent, received, secrets, place) {
	const here = values(sent.headers)
	const asked = values(sent.query)
	const theirs = ({ unseen, name }) => (unseen ? `added by Caddy: ${secrets[name] ?? 'a secret'}, never in your browser` : 'added by Caddy')
	return [
		line(received, ['added', place]),
		...query(received, (part) => (asked[part.name] === part.value ? ['', 'from your browser'] : ['added', theirs(part)])),
		make('h4', {}, 'Headers'),
		parts(received.headers, (part) => {
			if (part.name === 'Host') return ['added', 'set by Caddy']
			if (here[part.name] === part.value) return ['', 'from your browser']
			if (part.name in here) return ['added', 'changed by Caddy']
			return ['added', theirs(part)]
		}),
		...(received.body ? [make('h4', {}, 'Body, as your browser sent it'), make('code', { className: 'line' }, received.body)] : []),
	]
}

function count({ query: asked, headers }, platform) {
	const all = [...asked, ...headers].filter((p) => p.secret)
	const unseen = all.filter((p) => p.unseen)
	const theirs = unseen.length === all.length ? 'none' : all.length - unseen.length
	return all.length === 1
		? `${platform} received 1 secret. Your browser ${theirs === 'none' ? 'did not send it' : 'sent it'}: the demo has looked for it in its request.`
		: `${platform} received ${all.length} secrets. Of these your browser sent ${theirs}: the demo has looked for them in its request.`
}

const values = (list) => Object.fromEntries(list.map((p) => [p.name, p.value]))

function line(request, [kind, note]) {
	return make('code', { className: 'line' }, make('strong', {}, request.method), ` ${request.path} `, note ? make('span', { className: `note ${kind}` }, note) : '')
}

const query = (request, judge) => (request.query.length ? [make('h4', {}, 'Query'), parts(request.query, judge)] : [])

// parts lists headers or parameters, those first that open something.
export function parts(list, judge) {
	const sorted = list.toSorted((a, b) => Boolean(b.secret) - Boolean(a.secret))
	return make('ul', { className: 'headers' }, ...sorted.map((part) => {
		const [kind, note] = judge(part) || ['', '']
		return make('li', {},
			make('code', { className: 'name' }, `${part.name}:`), ' ',
			make('code', { className: part.secret ? 'secret' : '' }, part.value), ' ',
			note ? make('span', { className: `note ${kind}` }, note) : '')
	}))
}
