// SPDX-License-Identifier: Apache-2.0

// Drives the demo's page about data sources, and the page on which they are
// connected, as people do.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, click, fits, open, parts, picture, reach, says, signIn, text, url } from './page.mjs'

const visit = () => open({}, 'sources.html', undefined, /^40\d$|^503$/)

const row = (p, source) => p.locator(`#source-${source}`)
const stands = (p, source, how) => row(p, source).filter({ hasText: how }).waitFor()

// connect clicks from Connect to "Finish connecting data". Each vendor is told the
// title, the button on the page of sources, and whom it is to sign in; none: it
// remembers.
async function connect(p, ...vendors) {
	const [popup] = await Promise.all([p.context().waitForEvent('page'), p.locator('#connect').click()])
	for (const [title, button, account] of vendors) {
		const source = popup.getByRole('listitem').filter({ hasText: title })
		await source.getByRole('button', { name: button }).click()
		await popup.getByRole('link', { name: 'Continue' }).click()
		await popup.waitForURL(/^http:\/\/localhost:/) // the vendor is another site
		if (account) await popup.getByRole('button', { name: account, exact: true }).click()
		await popup.getByRole('button', { name: 'Allow' }).click()
		await source.getByText('Connected').first().waitFor()
	}
	await picture(popup, 'sources-page')
	await popup.getByRole('link', { name: 'Finish' }).click()
	await says(p, 'connect-outcome', /^You have finished\. Connected: /)
}

// listen remembers all that the browser sends, in full.
function listen(context) {
	const all = []
	context.on('request', (r) => all.push(r.allHeaders().then((headers) => ({ url: r.url(), body: r.postData() ?? '', headers }), () => undefined)))
	return async () => (await Promise.all(all)).filter(Boolean)
}

const steps = (p) => p.locator('#steps li strong').allTextContents()

// The whole promise: people connect a source and see their data, nobody notices that
// tokens expire, who has withdrawn is asked again, and no browser holds a token.
test('a person connects a source, and keeps it through the token\'s end and their own change of mind', async () => {
	const [p, other] = [await visit(), await visit()]
	const requests = listen(p.context())
	await p.locator('#connect').click()
	assert.equal(await text(p, 'connect-outcome'), 'Sign in first.')
	await signIn(p, 'alice')
	await click(p, 'call-values')
	assert.match(await text(p, 'call-outcome'), /: 403 Forbidden, \d+ ms\. Refused by Caddy, code consent_required\.$/)
	assert.match(await text(p, 'received'), /none was passed on/)
	await check(p, 'refused')

	await connect(p, ['Pulse', 'Connect', 'Ada'], ['Old lab', 'Connect', 'Cleo'])
	await stands(p, 'wearable', 'connected as ada@people.example')
	const back = await parts(p, 'back')
	assert.match(back.code, /^•{8}\S{4} good once/)
	const asked = await parts(p, 'asked')
	assert.equal(asked.code, `${back.code.slice(0, 12)} from your browser, and used up`)
	assert.match(asked.client_secret, /^•{8}\S{4} never in your browser$/)
	assert.match(asked.code_verifier, /^•{8}\S{4} never in your browser$/)
	const kept = await parts(p, 'kept')
	assert.match(kept.refresh_token, /^•{8}\S{4} never in your browser$/)

	await click(p, 'call-values')
	assert.match(await text(p, 'call-outcome'), /: 200 OK, \d+ ms\. As your account\.$/)
	assert.match(await text(p, 'call-answer'), /"unit": "kg"/)
	const received = await parts(p, 'received')
	assert.match(received.authorization, /^Bearer •{8}\S{4} added by Caddy: your access token, never in your browser$/)
	assert.equal(received.authorization.slice(7, 19), kept.access_token.slice(0, 12), 'not the token of the exchange')
	assert.match(await text(p, 'secrets'), /^The vendor received 1 secret\. Your browser did not send it/)
	assert.equal('authorization' in await parts(p, 'sent'), false)
	assert.deepEqual(await steps(p), ['API call'])
	await click(p, 'call-denied')
	assert.match(await text(p, 'call-outcome'), /code route_denied\.$/)

	await click(p, 'expire')
	await click(p, 'call-values')
	assert.match(await text(p, 'call-outcome'), /: 200 OK/)
	assert.deepEqual(await steps(p), ['API call', 'Refresh', 'API call'])
	const renewed = await parts(p, 'kept')
	for (const token of ['access_token', 'refresh_token']) assert.notEqual(renewed[token], kept[token], `the ${token} is the old one`)
	await check(p, 'connected')
	await picture(p, 'sources-light')

	// Who withdraws has to connect again. A refresh token is tried twice before: vendors
	// in trouble refuse it as well.
	await click(p, 'withdraw')
	await click(p, 'call-values')
	assert.match(await text(p, 'call-outcome'), /code issuer_unavailable\. Try again in \d+ s\.$/)
	assert.deepEqual(await steps(p), ['API call', 'Refresh'])
	await p.locator('#source').selectOption('Old lab')
	await says(p, 'kept', /^access_token/)
	await click(p, 'call-values')
	assert.match((await parts(p, 'received')).authorization, /^OAuth •{8}\S{4} added by Caddy: the signature of this one call, never in your browser$/)
	await click(p, 'withdraw')
	await click(p, 'call-values')
	assert.match(await text(p, 'call-outcome'), /code consent_required\.$/)
	await stands(p, 'old_lab', 'connect again')
	await connect(p, ['Old lab', 'again'])
	await stands(p, 'old_lab', 'connected as cleo@people.example')
	await click(p, 'call-values')
	assert.match(await text(p, 'call-answer'), /"unit": "kg"/)

	// The other user sees nothing of it, nor does who signs in next in this browser.
	await signIn(other, 'bob')
	await click(other, 'call-values')
	assert.match(await text(other, 'call-outcome'), /code consent_required\.$/)
	await click(other, 'withdraw')
	assert.match(await text(other, 'later-outcome'), /^Not done: connect the source first/)
	for (const seen of [other, p]) {
		if (seen === p) await signIn(p, 'bob')
		await stands(seen, 'old_lab', 'not connected')
		assert.doesNotMatch(await seen.content(), /@people|"unit": "kg"/)
		assert.equal(await seen.locator('#exchange').isHidden(), true)
	}
	await other.context().close()
	await signIn(p, 'alice')
	await click(p, 'call-values')
	await p.emulateMedia({ colorScheme: 'dark' })
	await check(p, 'connected, in dark colours')
	await picture(p, 'sources-dark')
	await fits(p)
	await fits(p, 320)
	await picture(p, 'sources-phone')
	await click(p, 'disconnect')
	await stands(p, 'old_lab', 'not connected')
	await click(p, 'call-values')
	assert.match(await text(p, 'call-outcome'), /code consent_required\.$/)

	// What the page says of the browser is so: no end of a secret is in what it sent.
	const ends = [kept.access_token, kept.refresh_token, renewed.access_token, renewed.refresh_token, asked.client_secret].map((s) => s.slice(8, 12))
	for (const r of await requests()) {
		assert.equal('authorization' in r.headers, false, r.url)
		if (!r.url.startsWith(url)) assert.doesNotMatch(r.headers.cookie ?? '', /(^|; )session=/, 'the vendor got the app\'s cookie')
		for (const end of ends) assert.equal(r.url.endsWith(end) || r.body.includes(`${end}"`), false, r.url)
	}
	await p.context().close()
})

// Who uses no mouse has to get everywhere.
test('the tab and every control of it are reached by key, with a visible focus', async () => {
	const p = await open()
	await p.getByRole('link', { name: 'Data sources', exact: true }).focus()
	await p.keyboard.press('Enter')
	await p.waitForURL('**/sources.html')
	await p.locator('#caddyfile').filter({ hasText: 'delegate_connect study' }).waitFor()
	assert.equal(await p.locator('nav [aria-current=page]').textContent(), 'Data sources')
	assert.equal(await p.locator('[style], style, script:not([src])').count(), 0)
	await reach(p, 'a, button, select')
	await p.context().close()
})
