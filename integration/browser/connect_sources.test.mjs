// SPDX-License-Identifier: Apache-2.0

// Connects sources on the page of a whole Caddy. With SCREENSHOT_DIR, pictures are left
// there.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'

const app = process.env.APP_URL
const vendors = [process.env.CITY_URL, process.env.HOSPITAL_URL, process.env.OLD_URL]
const [alice, bob, mallory] = JSON.parse(process.env.PEOPLE)

let browser
before(async () => {
	browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--headless', '--disable-gpu'] })
})
after(() => browser?.close())

// enter opens a browser in which a person is signed in. At its end, nothing that the app
// or its Caddy has sent may be a secret, and no page may have complained.
async function enter(t, person, options = {}) {
	const context = await browser.newContext({ viewport: { width: 760, height: 820 }, locale: 'en', ...options })
	context.setDefaultTimeout(60_000) // a busy machine is no fault of the page
	const [name, value] = person.cookie.split('=')
	await context.addCookies([{ name, value, url: app, httpOnly: true }])
	const complaints = [], received = []
	context.on('page', (page) => {
		page.on('pageerror', (e) => complaints.push(String(e)))
		page.on('console', (m) => { if (/Content Security Policy|Cross-Origin/.test(m.text())) complaints.push(m.text()) })
		page.on('request', (r) => {
			if (![app, ...vendors].some((origin) => r.url().startsWith(`${origin}/`))) complaints.push(`asked for ${r.url()}`)
		})
		page.on('response', (r) => {
			if (r.url().startsWith(app)) received.push(r.text().catch(() => '').then((body) => r.url() + JSON.stringify(r.headers()) + body))
		})
	})
	t.after(async () => {
		const all = (await Promise.all(received)).join('\n')
		await context.close()
		assert.ok(all.length > 1000)
		assert.doesNotMatch(all, /canary-sources|access_token"|refresh_token"|oauth_token_secret/)
		assert.deepEqual(complaints, [])
	})
	return { context, page: await context.newPage() }
}

const row = (page, title) => page.locator('li', { has: page.locator('h2', { hasText: title }) })

async function picture(page, name) {
	if (process.env.SCREENSHOT_DIR) await page.screenshot({ path: join(process.env.SCREENSHOT_DIR, `caddy-${name}.png`), fullPage: true })
}

// data reads a route as the page does, without leaving it.
const data = (page, path) => page.evaluate(async (to) => {
	const r = await fetch(`/data${to}`)
	return [r.status, (await r.json().catch(() => ({}))).code]
}, path)

const sources = [
	['City lab', '/city_lab/measurements', process.env.CITY_URL],
	["St. Mary's", '/st_mary/Observation', process.env.HOSPITAL_URL],
	['Old lab', '/old_lab/v1/sleep', process.env.OLD_URL],
]

// signInAt has the person choose their account at a vendor, which a vendor asks once: it
// keeps a session, as real ones do. It is no click of ours.
async function signInAt(page, name, vendor) {
	await page.waitForURL(`${vendor}/**`)
	const account = page.getByRole('button', { name, exact: true })
	await page.locator('#allow').or(account).first().waitFor()
	if (await account.count()) await account.click()
	await page.locator('#allow').waitFor()
}

for (const [person, account, javaScriptEnabled] of [[alice, 'Ada', true], [bob, 'Ben', false]]) {
	test(`four clicks lead to the first data, ${javaScriptEnabled ? 'with' : 'without'} script`, async (t) => {
		const { context, page } = await enter(t, person, { javaScriptEnabled })
		// Without script nothing of the app's page can call: a page beside it does.
		const reader = javaScriptEnabled ? page : await (async () => {
			const other = await browser.newContext()
			await other.addCookies(await context.cookies(app))
			t.after(() => other.close())
			return other.newPage()
		})()
		for (const [title, path, vendor] of sources) {
			await reader.goto(`${app}/app/`)
			assert.deepEqual(await data(reader, path), [403, 'consent_required'])
			await page.goto(`${app}/connect/`)
			let clicks = 0
			const click = async (what) => { clicks++; await what.click() }
			await click(row(page, title).getByRole('button', { name: `Connect ${title}` }))
			assert.match(await page.locator('main').innerText(), new RegExp(person.identifier), 'the page does not say whose data these will be')
			await click(page.getByRole('link', { name: `Continue to ${title}` }))
			await signInAt(page, account, vendor)
			await picture(page, 'vendor')
			await click(page.locator('#allow'))
			await page.getByRole('status').filter({ hasText: `${title}: Connected.` }).waitFor()
			assert.ok(page.url().startsWith(`${app}/connect/?connect=connected&source=`), page.url())
			await click(page.getByRole('link', { name: 'Finish connecting data' }))
			await page.waitForURL(`${app}/app/?connect=connected`)
			assert.equal(clicks, 4)
			assert.deepEqual(await data(reader, path), [200, undefined])
		}
	})
}

const ends = async (page, wanted) => {
	await page.locator('#result').filter({ hasText: wanted }).waitFor()
	return JSON.parse(await page.locator('#result').textContent())
}

test('a popup connects, under COOP on both sides; who denies, leaves or is somebody else gets no data', async (t) => {
	const { context, page } = await enter(t, mallory)
	await page.goto(`${app}/app/`)
	const open = async () => {
		const [popup] = await Promise.all([context.waitForEvent('page'), page.locator('#connect').click()])
		await popup.locator('main').waitFor()
		return popup
	}
	const go = async (popup, title, vendor, account, decision) => {
		await row(popup, title).getByRole('button').first().click()
		await popup.getByRole('link', { name: 'Continue' }).click()
		await signInAt(popup, account, vendor)
		assert.equal(await popup.evaluate(() => window.opener), null, 'control: the vendor has cut the windows off')
		await popup.locator(decision).click()
		await popup.getByRole('status').waitFor()
	}
	const [[city, cityData, cityURL], , [old, oldData, oldURL]] = sources

	const denied = await open()
	await go(denied, city, cityURL, 'Cleo', '#deny')
	assert.match(await denied.getByRole('status').innerText(), /^City lab: You have not allowed access/)
	await denied.locator('[data-end=close]').click()
	assert.deepEqual(await ends(page, 'close'), ['close', ''])
	assert.deepEqual(await data(page, cityData), [403, 'consent_required'])

	const popup = await open()
	await go(popup, city, cityURL, 'Cleo', '#allow')
	// Ada's account is Alice's here already.
	await go(popup, old, oldURL, 'Ada', '#allow')
	assert.doesNotMatch(await row(popup, old).innerText(), /Connected as/)
	await picture(popup, 'popup')
	await popup.getByRole('link', { name: 'Finish' }).click()
	assert.deepEqual(await ends(page, 'finish'), ['finish', 'connected'])
	if (!popup.isClosed()) await popup.waitForEvent('close')
	assert.deepEqual(await data(page, cityData), [200, undefined])
	assert.notEqual((await data(page, oldData))[0], 200)
})

test('pictures of the page: light, dark, on a phone, in German, from right to left', async (t) => {
	for (const [name, options] of Object.entries({
		light: {}, dark: { colorScheme: 'dark' }, phone: { viewport: { width: 320, height: 640 }, hasTouch: true },
		german: { locale: 'de' }, 'right-to-left': { locale: 'ar-XB' },
	})) {
		const { page } = await enter(t, alice, options)
		await page.goto(`${app}/connect/?connect=connected&source=city_lab`)
		assert.equal(await page.locator('li h2').count(), 3)
		assert.ok(await page.locator('img').evaluate((image) => image.complete && image.naturalWidth > 0), 'the logo is not shown')
		const { wide, width } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, width: innerWidth }))
		assert.ok(wide <= width, `${name}: ${wide} of ${width} pixels`)
		await picture(page, name)
	}
})
