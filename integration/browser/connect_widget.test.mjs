// SPDX-License-Identifier: Apache-2.0

// Clicks through the widget and the console of the simulated Connect platform, as
// people do.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { chromium } from 'playwright-core'

const app = process.env.APP_URL
const platform = process.env.PLATFORM_URL
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let browser, context, page, complaints

before(async () => {
	browser = await chromium.launch({
		executablePath: '/usr/bin/chromium',
		args: ['--no-sandbox', '--headless', '--disable-gpu', '--disable-quic', '--no-first-run',
			'--disable-background-networking', '--disable-component-update', '--disable-sync'],
	})
})
after(() => browser?.close())

beforeEach(async () => {
	complaints = []
	context = await browser.newContext({ viewport: { width: 900, height: 800 } })
	context.setDefaultTimeout(60_000)
	page = await context.newPage()
	page.on('pageerror', (e) => complaints.push(String(e)))
	page.on('console', (m) => {
		if (m.type() === 'error' && !m.text().startsWith('Failed to load resource: the server responded with a status of 400')) complaints.push(m.text())
	})
})
afterEach(async () => {
	await context.close()
	assert.deepEqual(complaints, [])
})

async function picture(name) {
	if (process.env.SCREENSHOT_DIR) await page.screenshot({ path: join(process.env.SCREENSHOT_DIR, `connect-${name}.png`) })
}

// check wants a page or a frame of the platform to be accessible.
async function check(p) {
	await p.evaluate(axe)
	const { violations, passes } = await p.evaluate(() => window.axe.run())
	assert.ok(passes.length > 5, 'axe checked next to nothing')
	assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`), [])
}

// frame waits until the widget's frame shows something.
async function frame(shown) {
	await page.frameLocator('#connect-widget iframe').locator(shown).first().waitFor()
	return page.frames().find((f) => f.url().startsWith(platform))
}

const result = async (p = page) => {
	await p.locator('#result:not(:empty)').waitFor()
	return JSON.parse(await p.locator('#result').textContent())
}

const post = (path, body) => fetch(platform + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })

const exchange = async (specialToken) => {
	const res = await post('/v1/connect/tokens', { clientId: 'app', clientSecret: 's', specialToken })
	return { status: res.status, ...await res.json() }
}

// through chooses an account and a source, and finishes.
async function through(p, account) {
	await p.getByRole('button', { name: account, exact: true }).click()
	await p.getByRole('button', { name: /connect City Lab/i }).first().waitFor()
	assert.equal(await p.locator('#account').textContent(), account)
	if (await p.getByRole('button', { name: 'Connect City Lab', exact: true }).count()) {
		await p.getByRole('button', { name: 'Connect City Lab', exact: true }).click()
		await p.getByRole('button', { name: 'Disconnect City Lab', exact: true }).waitFor()
	}
	await p.getByRole('button', { name: 'Finish connecting data' }).click()
}

test('a person connects over the page, and comes back with the public token', async () => {
	await page.goto(app)
	await page.locator('#connect').click()
	let widget = await frame('.account')
	assert.equal(await widget.locator('#application').textContent(), 'Sleep study')
	await check(widget)
	await picture('account')
	await widget.getByRole('button', { name: 'Ben', exact: true }).click()
	widget = await frame('#finish')
	assert.ok(await widget.locator('#finish').isDisabled())
	await widget.getByRole('button', { name: 'Connect Pulse Band' }).click()
	await widget.getByRole('button', { name: 'Disconnect Pulse Band' }).waitFor()
	await check(widget)
	await picture('sources')
	await widget.getByRole('button', { name: 'Finish connecting data' }).click()
	const [event, err, object] = await result()
	assert.deepEqual([event, err, Object.keys(object)], ['finish', null, ['specialToken']])
	assert.equal(await page.locator('#connect-widget').count(), 0)

	const first = await exchange(object.specialToken)
	assert.equal(first.status, 200)
	assert.equal(first.clientUserId, 'user-1')
	assert.equal((await exchange(object.specialToken)).error, 'token_used')

	await page.goto(`${app}/?publicToken=${first.publicToken}`)
	await page.locator('#connect').click()
	widget = await frame('#finish')
	assert.equal(await widget.locator('#account').textContent(), 'Ben')
	await widget.getByRole('button', { name: 'Finish connecting data' }).click()
	const again = await exchange((await result())[2].specialToken)
	assert.equal(again.accessToken, first.accessToken)
	assert.notEqual(again.publicToken, first.publicToken)
})

test('the page is told of Cancel, of Escape and of errors', async () => {
	for (const [way, leave] of Object.entries({
		button: (widget) => widget.getByRole('button', { name: 'Cancel' }).click(),
		'Escape in the widget': (widget) => widget.locator('.account').first().press('Escape'),
	})) {
		await page.goto(app)
		await page.locator('#connect').click()
		await leave(await frame('.account'))
		assert.deepEqual(await result(), ['close'], way)
		assert.equal(await page.locator('#connect-widget').count(), 0, way)
	}
	await page.goto(`${app}/?publicToken=none`)
	await page.locator('#connect').click()
	const [event, err] = await result()
	assert.deepEqual([event, err.code], ['error', 'public_token_invalid'])
})

test('as a window, it answers a page without COOP', async () => {
	await page.goto(`${app}/popup?mode=popup`)
	const [opened] = await Promise.all([context.waitForEvent('page'), page.locator('#connect').click()])
	await through(opened, 'Ada')
	const [event, , object] = await result()
	assert.equal(event, 'finish')
	assert.equal((await exchange(object.specialToken)).status, 200)
	if (!opened.isClosed()) await opened.waitForEvent('close')
})

test('as a window, it cannot reach a page with COOP, and shows no token', async () => {
	await page.goto(`${app}/?mode=popup`)
	const [opened] = await Promise.all([context.waitForEvent('page'), page.locator('#connect').click()])
	await through(opened, 'Ada')
	await opened.getByRole('heading', { name: 'You can go back' }).waitFor()
	assert.doesNotMatch(await opened.locator('main').innerText(), /st-/)
	assert.equal(await page.locator('#result').textContent(), '')
})

test('as a page of its own, it leads to the finish URL', async () => {
	await page.goto(`${app}/?mode=page&finishUrl=${encodeURIComponent(app + '/done')}`)
	await page.locator('#connect').click()
	await through(page, 'Ada')
	await page.waitForURL(/\/done\?specialToken=st-/)
	const answer = await exchange(new URL(page.url()).searchParams.get('specialToken'))
	assert.equal(answer.status, 200)
})

test('the preset of the vendor has its own global and object', async () => {
	await fetch(platform + '/_simulator/settings', { method: 'PATCH', body: JSON.stringify({ preset: 'human_connect_v1' }) })
	try {
		await page.goto(app)
		assert.equal(await page.evaluate(() => typeof window.Connect + typeof window.HumanConnect.open), 'undefinedfunction')
		await page.locator('#connect').click()
		await through(await frame('.account'), 'Ada')
		const [, , object] = await result()
		assert.deepEqual(Object.keys(object).sort(), ['clientId', 'humanId', 'sessionToken'])
		const res = await post('/v1/connect/tokens', { ...object, clientSecret: 's' })
		assert.equal((await res.json()).humanId, object.humanId)
	} finally {
		await fetch(platform + '/_simulator/settings', { method: 'PATCH', body: JSON.stringify({ preset: 'developer_console' }) })
	}
})

// It may even claim to be the app's: nothing is shown to it, or sent.
test('a page that the application does not allow can neither frame it nor learn anything', async () => {
	const evil = app.replace('localhost', '127.0.0.1')
	await page.goto(evil)
	for (const origin of [evil, app]) {
		const blocked = page.waitForEvent('console', (m) => /frame-ancestors/.test(m.text()))
		await page.evaluate((src) => {
			addEventListener('message', (e) => { document.getElementById('result').textContent += `message from ${e.origin}` })
			document.body.append(Object.assign(document.createElement('iframe'), { src }))
		}, `${platform}/connect?${new URLSearchParams({ clientId: 'app', clientUserId: 'user-1', origin })}`)
		await blocked
	}
	assert.equal(await page.locator('#result').textContent(), '')
	assert.equal(complaints.filter((c) => /frame-ancestors/.test(c)).length, 2, complaints.join('\n'))
	complaints = []
})

test('a developer creates an application in the console, and has it behave badly', async () => {
	await page.goto(platform)
	await check(page)
	await page.getByLabel('Name', { exact: true }).fill('Second app')
	await page.getByLabel('Allowed origins').fill('https://second.example')
	await page.getByRole('button', { name: 'Create application' }).click()
	const row = page.locator('#applications tr', { hasText: 'Second app' })
	assert.match(await row.textContent(), /app-\w+.*secret-\w+.*https:\/\/second\.example/s)
	await row.getByRole('button', { name: /New secret/ }).click()
	await page.getByLabel('The exchange does not say whose token it was.').check()
	await page.getByRole('button', { name: 'Behave so' }).click()
	assert.ok(await page.getByLabel('The exchange does not say whose token it was.').isChecked())
	await check(page)
	await picture('console')
	await page.getByLabel('The exchange does not say whose token it was.').uncheck()
	await page.getByRole('button', { name: 'Behave so' }).click()
	await row.getByRole('button', { name: /Remove/ }).click()
	assert.equal(await row.count(), 0)
})
