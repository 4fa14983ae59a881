// SPDX-License-Identifier: Apache-2.0

// Connects people by connect.js, through Caddy and the simulated platform's widget.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'

const app = process.env.APP_URL
const platform = process.env.PLATFORM_URL
const [alice, bob] = JSON.parse(process.env.PEOPLE)

let browser
before(async () => {
	browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--headless', '--disable-gpu'] })
})
after(() => browser?.close())

// visit opens the app's page as a person, and keeps all that the browser received
// from the app.
async function visit(t, person) {
	const context = await browser.newContext()
	context.setDefaultTimeout(60_000)
	const [name, value] = person.cookie.split('=')
	await context.addCookies([{ name, value, url: app, httpOnly: true }])
	const page = await context.newPage()
	const complaints = [], received = []
	page.on('pageerror', (e) => complaints.push(String(e)))
	page.on('console', (m) => { if (/Content Security Policy/.test(m.text())) complaints.push(m.text()) })
	page.on('response', (r) => { if (r.url().startsWith(app)) received.push(r.text().catch(() => '').then((body) => r.url() + ' ' + JSON.stringify(r.headers()) + body)) })
	t.after(async () => {
		const all = (await Promise.all(received)).join('\n')
		assert.doesNotMatch(all, /client-secret-canary|accessToken/)
		assert.match(all, /publicToken/)
		await context.close()
		assert.deepEqual(complaints, [])
	})
	await page.goto(`${app}/app/`)
	return page
}

const result = async (p) => {
	await p.locator('#result:not(:empty)').waitFor()
	return JSON.parse(await p.locator('#result').textContent())
}

// frame waits until the widget's frame shows something.
async function frame(p, shown) {
	await p.frameLocator('#connect-widget iframe').locator(shown).first().waitFor()
	return p.frames().find((f) => f.url().startsWith(platform))
}

const data = (p) => p.evaluate(async () => {
	const r = await fetch('/data/v1/human/profile')
	return [r.status, (await r.json()).code]
})

async function connect(p, account) {
	await p.locator('#connect').click()
	let widget = await frame(p, '.account, #finish')
	if (await widget.locator('.account').count()) {
		await widget.getByRole('button', { name: account, exact: true }).click()
		widget = await frame(p, '#finish')
	}
	if (await widget.getByRole('button', { name: 'Connect City Lab', exact: true }).count()) {
		await widget.getByRole('button', { name: 'Connect City Lab', exact: true }).click()
		await widget.getByRole('button', { name: 'Disconnect City Lab', exact: true }).waitFor()
	}
	await widget.getByRole('button', { name: 'Finish connecting data' }).click()
	return result(p)
}

test('a person cancels, connects, reads, and returns; another one has an account of their own', async (t) => {
	const p = await visit(t, alice)
	assert.deepEqual(await data(p), [403, 'consent_required'])
	await p.locator('#connect').click()
	await (await frame(p, '.account')).getByRole('button', { name: 'Cancel' }).click()
	assert.deepEqual(await result(p), ['close', ''])

	assert.deepEqual(await connect(p, 'Ben'), ['finish', 'connected'])
	assert.deepEqual(await data(p), [200, undefined])
	assert.deepEqual(await connect(p, 'Ben'), ['finish', 'connected'])

	const other = await visit(t, bob)
	assert.deepEqual(await data(other), [403, 'consent_required'])
	assert.deepEqual(await connect(other, 'Ben'), ['error', 'account_conflict'])
	assert.notEqual((await data(other))[0], 200)
	assert.deepEqual(await data(p), [200, undefined])
})

test("the documentation's page opens the widget, and tells how it ended", async (t) => {
	const p = await visit(t, bob)
	await p.goto(`${app}/app/docs`)
	await p.locator('#connect').click()
	await (await frame(p, '.account, #finish')).getByRole('button', { name: 'Cancel' }).click()
	await p.getByText('Not connected.').waitFor()
})
