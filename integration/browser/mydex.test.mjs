// SPDX-License-Identifier: Apache-2.0

// Drives the demo's page about Mydex, and the platform's pages, as a member
// does. Each test takes a member of its own: who has one keeps them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, click, enter, fits, open, parts, picture, reach, says, signIn, text, url } from './page.mjs'

const platform = /^http:\/\/localhost:\d+\/ftc\/|^data:(,$|image\/png;)/

const visit = (options) => open(options, 'mydex.html', platform)

// depart clicks Connect and is at the platform, where it signs in as a member.
async function depart(p, member) {
	await p.locator('#connect').click()
	await choose(p, member)
}

async function choose(p, member) {
	await p.waitForURL(/^http:\/\/localhost:\d+\/ftc\/begin\//)
	await check(p, 'signing in at the platform')
	await p.getByLabel('MydexID').selectOption(member)
	await p.getByRole('button', { name: 'Sign in' }).click()
	await p.waitForURL(/\/ftc\/agreement\//)
	assert.equal(await text(p, 'mydexid'), member)
	await check(p, 'agreeing at the platform')
}

async function connect(p, member) {
	await depart(p, member)
	await picture(p, 'mydex-agreement')
	await p.getByRole('button', { name: 'Agree' }).click()
	await says(p, 'connect-outcome', 'You are back')
}

// opens has another device open the link beside the code, and agree.
async function opens(phone, desk, member) {
	await phone.goto(await desk.locator('#code a').textContent())
	await choose(phone, member)
	await phone.getByRole('button', { name: 'Agree' }).click()
}

// stopped is when a page gives up waiting for the other device.
const stopped = (p) => p.waitForEvent('requestfailed', (r) => r.url().includes('/status?wait='))

// listen remembers all that the browser sends, in full.
function listen(p) {
	const all = []
	p.on('request', (r) => all.push(r.allHeaders().then((h) => ({ method: r.method(), url: r.url(), body: r.postData() ?? '', headers: h }))))
	return () => Promise.all(all)
}

// The whole promise: people consent once and use their data, with a key that
// their browser never has.
test('a member connects, reads, writes and disconnects, and the browser never has the key', async () => {
	const p = await visit()
	const requests = listen(p)
	await signIn(p, 'alice')
	assert.equal(await text(p, 'consent'), 'none')
	await click(p, 'call-read')
	assert.match(await text(p, 'call-outcome'), /: 403 Forbidden, \d+ ms\. Refused by Caddy, code consent_required\.$/)
	assert.match(await text(p, 'received'), /none was passed on/)

	await connect(p, 'Robin101')
	assert.match(p.url(), /\/mydex\.html$/)
	assert.equal(await text(p, 'connect-outcome'), 'You are back, and connected.')
	assert.equal(await text(p, 'consent'), 'connected')
	const callback = await parts(p, 'callback')
	assert.match(callback.key, /^•{8}\w{4} never in your browser$/)
	assert.equal(callback.uid, '4020')

	await click(p, 'call-read')
	assert.match(await text(p, 'call-outcome'), /: 200 OK, \d+ ms\. As your member\.$/)
	assert.match(await text(p, 'call-answer'), /"value": "Robin"/)
	assert.match(await text(p, 'sent'), /^GET \/pdx\/api\/pds\/pds\/me\.json/)
	assert.match(await text(p, 'received'), /^GET \/api\/pds\/pds\/4020\.json .*uid in place of me/)
	let sent = await parts(p, 'sent')
	let received = await parts(p, 'received')
	assert.match(received.key, /^•{8}\w{4} added by Caddy: the member's key, never in your browser$/)
	assert.equal(received.key.slice(0, 12), callback.key.slice(0, 12), 'not the key of the callback')
	assert.match(received.con_id, /^4020-45678 added by Caddy$/)
	assert.match(received.authorization, /^Bearer •{8}.{4} added by Caddy: the operator's token, never in your browser$/)
	assert.match(sent.cookie, /^session=•{8}\w{4}.* stays here/)
	for (const name of ['key', 'uid', 'con_id', 'authorization', 'connection-token']) assert.equal(name in sent, false, `${name} is said to have been sent`)
	assert.match(await text(p, 'secrets'), /^Mydex received 2 secrets\. Of these your browser sent none/)
	await picture(p, 'mydex-connected')

	await p.locator('#name').fill('Jo <&>')
	await p.keyboard.press('Enter')
	await says(p, 'call-outcome', /^POST .*: 200 OK/)
	await click(p, 'call-read')
	assert.match(await text(p, 'call-answer'), /"value": "Jo <&>"/)

	await p.locator('#event').fill('Visit')
	await click(p, 'call-add')
	assert.match(await text(p, 'call-outcome'), /^POST \/pdx\/calendar\/add-event: 200 OK/)
	sent = await parts(p, 'sent')
	received = await parts(p, 'received')
	assert.match(received['connection-token'], /^•{8}\w{4} added by Caddy: the member's key, never in your browser$/)
	assert.match(received.uid, /^4020 added by Caddy$/)
	for (const name of ['uid', 'con_id', 'connection-token']) assert.equal(name in sent, false, `${name} is said to have been sent`)
	await click(p, 'call-events')
	assert.match(await text(p, 'call-answer'), /"title": "Visit"/)
	await click(p, 'call-other')
	assert.match(await text(p, 'call-outcome'), /: 403 Forbidden, \d+ ms\. Refused by Caddy, code route_denied\.$/)

	await click(p, 'disconnect')
	assert.equal(await text(p, 'consent'), 'none')
	assert.equal((await p.content()).includes('4020'), false, 'the member is still on the page')
	await click(p, 'call-read')
	assert.match(await text(p, 'call-outcome'), /code consent_required\.$/)

	// What the page says of the browser is so: not even the end of a key is in
	// what it sent, and the platform's host got no cookie of the app.
	const key = callback.key.slice(8, 12)
	for (const r of await requests()) {
		const ours = r.url.startsWith(url)
		if (ours) assert.doesNotMatch(new URL(r.url).pathname + new URL(r.url).search, /4020|[?&](key|con_id|uid)=/)
		assert.equal('connection-token' in r.headers || 'authorization' in r.headers, false, r.url)
		assert.equal(r.url.includes(`${key}&`) || r.url.endsWith(key), false, r.url)
		if (!ours) assert.equal('cookie' in r.headers, false, 'the platform got a cookie')
		if (ours) assert.equal(r.body.includes('4020'), false, r.body)
	}
	await p.context().close()
})

// The code is for whoever has a phone in their hand, and their desk in front.
test('who agrees on another device is connected on the first, which need not be touched', async () => {
	const desk = await visit()
	await enter(desk, 'Carla')
	await click(desk, 'other')
	const size = await desk.getByAltText(/^QR code/).evaluate(async (e) => (await e.decode(), [e.naturalWidth, e.clientWidth, e.clientHeight]))
	assert.ok(size[0] > 100 && size[1] % size[0] === 0 && size[1] === size[2], `${size} pixels`)
	assert.match(await text(desk, 'code'), /good for 15 minutes.*a phone cannot reach it/)
	assert.equal(await desk.locator('#code a').getAttribute('href'), await desk.locator('#code a').textContent())
	await check(desk, 'the code')
	await reach(desk, 'a, button, input')
	await picture(desk, 'mydex-code')

	const phone = await visit()
	await enter(phone, 'Carla')
	await opens(phone, desk, 'Heron103')
	await says(phone, 'connect-outcome', 'You are back, and connected.')
	await says(desk, 'connect-outcome', 'You are connected, by the other device.')
	assert.equal(await desk.locator('#code').isVisible(), false)
	await says(desk, 'consent', /^connected$/) // which is asked for after the outcome is shown
	await desk.locator('#callback').filter({ hasText: '4022' }).waitFor()
	await click(desk, 'call-read')
	assert.match(await text(desk, 'call-answer'), /"value": "Heron"/)
	await click(desk, 'other')
	assert.match(await text(desk, 'connect-outcome'), /disconnect first/)

	// Who is connected can be asked for more.
	await desk.getByRole('button', { name: 'Ask for more' }).click()
	await choose(desk, 'Heron103')
	await desk.getByText('What the connection 45678 may do has changed.').waitFor()
	await desk.getByRole('button', { name: 'Agree' }).click()
	await says(desk, 'connect-outcome', 'You are back, and connected.')
	await click(desk, 'call-read')
	assert.match(await text(desk, 'call-answer'), /"value": "Heron"/)
	await click(desk, 'disconnect')
	assert.equal(await desk.locator('#more').isVisible(), false)
	await phone.context().close()
	await desk.context().close()
})

// Few are signed in on their phone. Nothing waits for a code that is gone.
test('a phone that signs in only when it is back is connected too, and the page waits once at most', async () => {
	const desk = await visit()
	let waits = 0
	let most = 0
	desk.on('request', (r) => { if (r.url().includes('?wait=')) most = Math.max(most, ++waits) })
	for (const end of ['requestfailed', 'requestfinished']) desk.on(end, (r) => { if (r.url().includes('?wait=')) waits-- })
	await enter(desk, 'Dora')
	await click(desk, 'other')
	const first = await desk.locator('#code a').textContent()
	await Promise.all([stopped(desk), click(desk, 'other')])
	assert.notEqual(await desk.locator('#code a').textContent(), first)
	await Promise.all([stopped(desk), signIn(desk, 'alice')])
	assert.equal(await text(desk, 'code'), '')
	await enter(desk, 'Dora')
	await click(desk, 'other')

	const phone = await visit()
	await opens(phone, desk, 'Wren102')
	await says(phone, 'connect-outcome', 'You came back signed out: sign in as the same user, and you are connected.')
	assert.equal(await text(desk, 'consent'), 'pending')
	assert.equal(await desk.locator('#code').isVisible(), true)
	await enter(phone, 'Dora')
	await says(phone, 'consent', 'connected')
	await says(desk, 'connect-outcome', 'You are connected, by the other device.')
	for (const p of [desk, phone]) {
		await p.locator('#callback').filter({ hasText: '4021' }).waitFor()
		await click(p, 'call-read')
		assert.match(await text(p, 'call-answer'), /"value": "Wren"/)
	}
	assert.deepEqual([waits, most], [0, 1])
	await click(desk, 'disconnect')
	await phone.context().close()
	await desk.context().close()
})

// A member who withdraws is heard at the next call, and can come back.
test('a withdrawal leads to update_required, and connecting again back to the data', async () => {
	const p = await visit()
	await signIn(p, 'alice')
	await click(p, 'withdraw')
	assert.match(await text(p, 'connect-outcome'), /^Connect a member first/)
	await connect(p, 'Wren102')
	await click(p, 'withdraw')
	await click(p, 'call-read')
	assert.match(await text(p, 'call-outcome'), /code consent_required\.$/)
	assert.equal(await text(p, 'consent'), 'update_required')
	assert.match((await parts(p, 'received')).key, /^•{8}\w{4} added/)
	await picture(p, 'mydex-withdrawn')
	await connect(p, 'Wren102')
	assert.equal(await text(p, 'consent'), 'connected')
	await click(p, 'call-read')
	assert.match(await text(p, 'call-answer'), /"value": "Wren"/)
	await click(p, 'disconnect')
	await p.context().close()
})

// Whoever declines, or takes another's member, gets nothing and is told so.
test('a member who declines is not connected, and one who is taken stays with their user', async () => {
	const alice = await visit()
	await signIn(alice, 'alice')
	await depart(alice, 'Heron103')
	await alice.getByRole('button', { name: 'Decline' }).click()
	await says(alice, 'connect-outcome', /the member declined\.$/)
	assert.equal(await text(alice, 'consent'), 'pending')
	await connect(alice, 'Heron103')
	const bob = await visit()
	await signIn(bob, 'bob')
	await depart(bob, 'Heron103')
	await bob.getByRole('button', { name: 'Agree' }).click()
	await says(bob, 'connect-outcome', /^This member is connected by another user of the app\.$/)
	await click(alice, 'call-read')
	assert.match(await text(alice, 'call-answer'), /"value": "Heron"/)
	await click(bob, 'call-read')
	assert.match(await text(bob, 'call-outcome'), /code account_conflict\.$/)
	assert.equal((await bob.content()).includes('4022.json'), false, 'somebody else\'s call is on the page')

	// Nor does the next user in the same browser see anything of it.
	await signIn(alice, 'bob')
	assert.doesNotMatch(await alice.content(), /Heron|4022-|"value"/)
	await signIn(alice, 'alice')
	await click(alice, 'disconnect')
	await bob.context().close()
	await alice.context().close()
})

// Who uses no mouse has to get everywhere.
test('the tabs and every control are reached by key, with a visible focus', async () => {
	const p = await open({}, '', platform)
	await p.getByRole('link', { name: 'Mydex', exact: true }).focus()
	await p.keyboard.press('Enter')
	await p.waitForURL('**/mydex.html')
	await p.locator('#caddyfile').filter({ hasText: 'delegate_connect mydex' }).waitFor()
	assert.equal(await p.locator('nav [aria-current=page]').textContent(), 'Mydex')
	assert.equal(await p.locator('[style], style, script:not([src])').count(), 0)
	await reach(p, 'a, button, input')
	await p.context().close()
})

for (const colorScheme of ['light', 'dark']) {
	// Barriers for people with disabilities, as far as a program finds them.
	test(`axe finds nothing about Mydex in ${colorScheme} colours, and it fits a phone`, async () => {
		const p = await visit({ colorScheme })
		await check(p, 'signed out')
		await signIn(p, 'bob')
		await click(p, 'call-read')
		await check(p, 'refused')
		await connect(p, 'Robin101')
		await click(p, 'call-add')
		await check(p, 'connected')
		await picture(p, `mydex-${colorScheme}`)
		await fits(p)
		await picture(p, `mydex-phone-${colorScheme}`)
		await click(p, 'disconnect')
		await click(p, 'other')
		await check(p, 'the code')
		await fits(p)
		await picture(p, `mydex-code-phone-${colorScheme}`)
		await p.context().close()
	})
}
