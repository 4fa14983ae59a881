// SPDX-License-Identifier: Apache-2.0

// Drives the demo's page as its visitors do.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, click, fits, open, page, parts, picture, reach, says, signIn, text, url } from './page.mjs'

const alice = 'aaaaaaaa-1111-4111-8111-111111111111'
const bob = 'bbbbbbbb-2222-4222-8222-222222222222'

async function counter(p, label) {
	const row = p.locator('#counts tr').filter({ has: p.getByRole('rowheader', { name: label, exact: true }) })
	const [was, now, change] = await row.locator('td').allTextContents()
	return { was: Number(was), now: Number(now), change }
}

// One person's data on another's screen would be the end of this project.
test('each of two users sees their own data and never the other\'s', async () => {
	const other = await open()
	await signIn(page, 'alice')
	await signIn(other, 'bob')
	for (const what of ['participant', 'answers', 'event']) {
		await click(page, `call-${what}`)
		await click(other, `call-${what}`)
		for (const [p, mine, theirs] of [[page, alice, bob], [other, bob, alice]]) {
			assert.match(await text(p, 'call-outcome'), /: 200 OK, \d+ ms\. As (alice|bob)\.$/)
			const answer = await text(p, 'call-answer')
			assert.equal(answer.includes(mine), true, `${what}: the own ID is missing`)
			assert.equal((await p.content()).includes(theirs), false, `${what}: somebody else's ID is on the page`)
		}
	}
	await other.context().close()
})

// What stays on the screen when somebody else takes the seat is a leak too.
test('nothing of one user stays on the screen of the next', async () => {
	await signIn(page, 'alice')
	await click(page, 'call-participant')
	await click(page, 'get-token')
	await signIn(page, 'bob')
	assert.equal((await page.content()).includes(alice), false)
	assert.equal(await text(page, 'token-answer'), '')
	await click(page, 'call-participant')
	assert.equal((await text(page, 'call-answer')).includes(bob), true)
})

// The comparison is what people will judge the promise by: it has to be real,
// and must not give away what it is about.
test('the comparison shows the cookie that stays and the token that is added', async () => {
	await signIn(page, 'alice')
	await click(page, 'call-participant')

	assert.match(await text(page, 'sent'), /^GET \/mdh\/api\/v1\/delegated\/participant/)
	assert.match(await text(page, 'received'), /^GET \/api\/v1\/delegated\/participant/)
	const [cookie] = await page.context().cookies()
	assert.equal(cookie.httpOnly, true)

	const sent = await parts(page, 'sent')
	assert.equal(sent.cookie, `session=${cookie.value.slice(0, 6)}… stays here: your session with the app`)
	assert.match(sent.referer, /stays here$/)
	assert.match(sent['sec-fetch-site'], /^same-origin stays here$/)
	assert.match(sent['user-agent'], /passed on$/)
	assert.equal('authorization' in sent, false)

	const received = await parts(page, 'received')
	assert.match(received.authorization, /^Bearer [0-9a-f]{6}… added by Caddy: your token, never in your browser$/)
	assert.match(received['user-agent'], /from your browser$/)
	for (const name of Object.keys(received)) {
		assert.doesNotMatch(name, /^(cookie|referer|origin|sec-.*|x-forwarded-.*|via)$/)
	}
	const everything = await page.content()
	assert.equal(everything.includes(cookie.value), false, 'the whole cookie is on the page')
	assert.doesNotMatch(everything, /\b[0-9a-f]{32}\b/, 'a whole token is on the page')
})

// A refusal has to be seen as one, before the platform is asked anything.
test('what the policy does not allow is refused with its code', async () => {
	await signIn(page, 'alice')
	await click(page, 'call-everybody')
	assert.match(await text(page, 'call-outcome'), /: 403 Forbidden, \d+ ms\. Refused by Caddy, code route_denied\.$/)
	assert.match(await text(page, 'received'), /none was passed on/)
	assert.equal(await page.locator('#steps li').count(), 0)
	await picture(page, 'refused')
})

// Users must not notice that a token was revoked.
test('after a revocation the next call heals with one new token', async () => {
	await signIn(page, 'alice')
	await click(page, 'call-participant')
	await click(page, 'revoke')
	assert.match(await text(page, 'revoke-outcome'), /^Your token is revoked/)
	const { now } = await counter(page, 'Participant tokens')
	await click(page, 'call-again')
	assert.match(await text(page, 'revoke-outcome'), /^200 OK, \d+ ms\. As alice\.$/)
	assert.deepEqual(await counter(page, 'Participant tokens'), { was: now, now: now + 1, change: '+1' })
	assert.equal((await counter(page, '401 answers')).change, '+1')
	assert.equal((await counter(page, 'Service tokens')).change, 'same')
	assert.deepEqual((await page.locator('#steps li strong').allTextContents()), ['API call', 'Participant token', 'API call'])
	await picture(page, 'healed')
})

// Revoking somebody else's token would let one person disturb another.
test('a revocation is about the signed-in user only', async () => {
	const other = await open()
	await signIn(other, 'bob')
	await click(other, 'call-participant')
	await signIn(page, 'alice')
	await click(page, 'call-participant')
	await click(page, 'revoke')
	await click(other, 'call-participant')
	assert.equal((await counter(other, '401 answers')).change, 'same')
	await other.context().close()
})

// An SDK gets what it needs, for one person, and the page does not show it whole.
test('a token is handed out with the scopes of the Caddyfile', async () => {
	await signIn(page, 'bob')
	await click(page, 'get-token')
	assert.match(await text(page, 'token-outcome'), /^A token of bob for \d+ seconds\.$/)
	const answer = JSON.parse(await text(page, 'token-answer'))
	assert.match(answer.access_token, /^[0-9a-f]{6}…$/)
	assert.equal(answer.scope, 'Participant:read')
	assert.ok(answer.expires_in > 0 && answer.expires_in <= 3600)
	assert.match(answer.base_url, /\/$/)
})

// A call that still worked after signing out would be a session that never ends.
test('who has signed out is refused', async () => {
	await click(page, 'revoke')
	assert.match(await text(page, 'revoke-outcome'), /^Sign in first/)
	await signIn(page, 'alice')
	await click(page, 'call-participant')
	await click(page, 'sign-out')
	assert.equal(await text(page, 'user'), 'Nobody is signed in.')
	assert.equal((await page.content()).includes(alice), false)
	await click(page, 'call-participant')
	assert.match(await text(page, 'call-outcome'), /: 401 Unauthorized, \d+ ms\. Refused: nobody is signed in\.$/)
	await click(page, 'get-token')
	assert.match(await text(page, 'token-outcome'), /^401 Unauthorized/)
	assert.equal((await page.content()).includes(alice), false)
	await picture(page, 'signed-out')
})

// Scripts from anywhere else, or written into the page, must not run.
test('the page keeps to its own files', async () => {
	const response = await page.goto(url)
	assert.match(response.headers()['content-security-policy'], /(^|; )default-src 'self'(;|$)/)
	assert.equal(await page.locator('[style], style, script:not([src])').count(), 0)
	const read = await page.evaluate(() => document.cookie)
	assert.equal(read, '', 'a script can read the session')
})

// Who uses no mouse has to get everywhere, and to see where they are.
test('every button is reached by Tab, with a visible focus, and works by key', async () => {
	await reach(page, 'button')
	await page.locator('#sign-in-alice').focus()
	await page.keyboard.press('Enter')
	await says(page, 'user', 'Signed in as Alice.')
	assert.equal(await page.evaluate(() => document.activeElement.id), 'sign-in-alice')
})

for (const colorScheme of ['light', 'dark']) {
	// Barriers for people with disabilities, as far as a program finds them.
	test(`axe finds nothing in ${colorScheme} colours`, async () => {
		const p = await open({ colorScheme })
		await check(p, 'signed out')
		await click(p, 'call-participant')
		await check(p, 'refused')
		await signIn(p, 'alice')
		await click(p, 'call-participant')
		await click(p, 'revoke')
		await click(p, 'call-again')
		await click(p, 'get-token')
		await check(p, 'signed in')
		await picture(p, colorScheme)
		await p.context().close()
	})
}

// Sideways scrolling makes a page unreadable on a phone.
test('the page fits a screen of 360 pixels', async () => {
	const p = await open({ viewport: { width: 360, height: 740 } })
	await signIn(p, 'alice')
	await click(p, 'call-answers')
	await click(p, 'get-token')
	await fits(p)
	await picture(p, 'phone')
	await p.context().close()
})
