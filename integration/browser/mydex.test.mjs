// SPDX-License-Identifier: Apache-2.0

// Drives the demo's page about Mydex, and the platform's pages, as a member
// does. Each test takes a member of its own: who has one keeps them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, click, fits, open, parts, picture, reach, says, signIn, text, url } from './page.mjs'

const platform = /^http:\/\/localhost:\d+\/ftc\/|^data:,$/

const visit = (options) => open(options, 'mydex.html', platform)

// depart clicks Connect and is at the platform, where it signs in as a member.
async function depart(p, member) {
	await p.locator('#connect').click()
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
		await p.context().close()
	})
}
