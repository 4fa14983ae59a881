// SPDX-License-Identifier: Apache-2.0

// The Connect page as a whole page: without script, by keyboard, for screen readers,
// on a phone, in all languages and both directions.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { app, complained, enter, expect, picture, row } from './connect_page.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const languages = ['en', 'de', 'fr', 'es', 'ar-XB']

// check wants a page to be accessible (WCAG 2.2 AA). axe comes by the debugger: the
// page's policy would not let it in.
async function check(page, name) {
	const session = await page.context().newCDPSession(page)
	await session.send('Runtime.evaluate', { expression: axe })
	const { result } = await session.send('Runtime.evaluate', {
		expression: `axe.run({ rules: { 'target-size': { enabled: true } } }).then(({ violations, passes }) => ({
			passes: passes.length, violations: violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target).join(' ')) }))`,
		awaitPromise: true, returnByValue: true,
	})
	assert.ok(result.value?.passes > 10, `${name}: axe checked next to nothing`)
	assert.deepEqual(result.value.violations, [], name)
}

// fits wants that nobody has to scroll sideways on the smallest phone.
async function fits(page, name) {
	const { wide, width } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, width: innerWidth }))
	assert.ok(wide <= width, `${name}: ${wide} of ${width} pixels`)
}

for (const javaScriptEnabled of [true, false]) {
	test(`four clicks connect, ${javaScriptEnabled ? 'with' : 'without'} script`, async () => {
		const { page } = await enter('new', { javaScriptEnabled })
		await page.goto(`${app}/connect/`)
		assert.equal(await page.locator('[data-end]').textContent(), 'Leave without connecting')
		await row(page, 'City lab').getByRole('button').click()
		assert.match(await page.locator('main').innerText(), /belong to new-\d+-\d+@study\.example/)
		await page.getByRole('link', { name: 'Continue to City lab' }).click()
		assert.equal(await page.locator('#referer').textContent(), '', 'the vendor is told a page of ours')
		await page.locator('#allow').click()
		await page.getByRole('status').filter({ hasText: 'City lab: Connected.' }).waitFor()
		assert.match(await row(page, 'City lab').innerText(), /Connected as new-\d+-\d+@city_lab\.example/)
		await page.getByRole('link', { name: 'Finish connecting data' }).click()
		await page.waitForURL(`${app}/app?done`)
	})

	test(`who denies can try again, who is connected can disconnect, ${javaScriptEnabled ? 'with' : 'without'} script`, async () => {
		const { page } = await enter('new', { javaScriptEnabled })
		await page.goto(`${app}/connect/`)
		await row(page, 'Ring').getByRole('button', { name: 'Connect Ring & Sleep' }).click()
		await page.getByRole('link', { name: 'Continue' }).click()
		await page.locator('#deny').click()
		assert.match(await page.getByRole('status').innerText(), /^Ring & Sleep: You have not allowed access/)
		await row(page, 'Ring').getByRole('button').click()
		await page.getByRole('link', { name: 'Continue' }).click()
		await page.locator('#allow').click()
		const button = row(page, 'Ring').getByRole('button', { name: 'Disconnect Ring & Sleep', exact: true })
		assert.equal(await button.isVisible(), false, 'one click disconnects')
		await row(page, 'Ring').locator('summary').click()
		await button.click()
		assert.match(await page.getByRole('status').innerText(), /^Ring & Sleep: Disconnected/)
		assert.match(await row(page, 'Ring').innerText(), /Not connected/)
	})
}

test('nobody is told to sign in', async () => {
	const { page } = await enter('')
	assert.equal((await page.goto(`${app}/connect/`)).status(), 401)
	await page.getByRole('link', { name: 'Sign in' }).click()
	await page.waitForURL(`${app}/sign-in`)
})

for (const [locale, colorScheme] of [...languages.map((l) => [l, 'light']), ['en', 'dark'], ['de', 'dark'], ['ar-XB', 'dark']]) {
	test(`axe finds nothing in ${locale}, in ${colorScheme} colours, and all fits a phone`, async () => {
		const { page } = await enter('full', { locale, colorScheme })
		const at = `${locale}-${colorScheme}`
		for (const [name, open] of Object.entries({
			sources: async () => {
				await page.goto(`${app}/connect/?connect=connected&source=city_lab`)
				await row(page, 'City lab').locator('summary').click()
			},
			denied: () => page.goto(`${app}/connect/?connect=consent_denied&source=st_mary`),
			error: () => page.goto(`${app}/connect/nowhere`),
			closable: async () => {
				await page.goto(`${app}/connect/?popup=of-nobody`)
				await page.locator('[data-end]').click()
				await page.locator('#closable').waitFor()
			},
			continue: async () => {
				await page.goto(`${app}/connect/`)
				await row(page, 'St. Mary').getByRole('button').first().click()
				await page.locator('#host').waitFor()
			},
		})) {
			await page.setViewportSize({ width: 760, height: 820 })
			await open()
			assert.equal(await page.locator('html').getAttribute('lang'), locale)
			await check(page, `${name} ${at}`)
			await picture(page, `${name}-${at}`)
			await page.setViewportSize({ width: 320, height: 640 })
			await fits(page, `${name} ${at}`)
			await check(page, `${name} ${at} phone`)
			await picture(page, `${name}-${at}-phone`)
		}
	})
}

test('from right to left everything is mirrored', async () => {
	const { page } = await enter('full', { locale: 'ar-XB' })
	await page.goto(`${app}/connect/`)
	const left = async (locator) => (await locator.boundingBox()).x
	const city = row(page, 'City lab')
	assert.ok(await left(city.locator('img')) > await left(city.locator('h2')))
	assert.ok(await left(city.locator('h2')) > await left(city.locator('button').first()))
})

test('everything can be done by keyboard, and the focus is seen', async () => {
	const { page } = await enter('full')
	await page.goto(`${app}/connect/`)
	const wanted = await page.locator('a, summary, button').evaluateAll((all) => all.filter((e) => e.checkVisibility()).length)
	for (let n = 0; n < wanted; n++) {
		await page.keyboard.press('Tab')
		const { tag, seen } = await page.evaluate(() => {
			const e = document.activeElement
			const style = getComputedStyle(e)
			return { tag: e.localName, seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 }
		})
		assert.ok(['a', 'summary', 'button'].includes(tag), `focus ${n} is in ${tag}`)
		assert.ok(seen, `the focus is invisible at ${tag} ${n}`)
	}
	await page.locator('summary').first().focus()
	await page.keyboard.press('Enter')
	await page.keyboard.press('Tab')
	await page.keyboard.press('Enter')
	await page.getByRole('status').filter({ hasText: 'City lab: Disconnected.' }).waitFor()
})

test('colours that the person has chosen are kept', async () => {
	const { page } = await enter('full', { forcedColors: 'active' })
	await page.goto(`${app}/connect/`)
	await check(page, 'forced colours')
	await picture(page, 'sources-forced')
})

test('script in a name does nothing, nor does what the app serves, nor a frame (T68)', async () => {
	expect(/Content Security Policy|Trusted|TrustedScript|frame-ancestors/)
	const { page } = await enter('full')
	await page.goto(`${app}/connect/?connect=connected&source=hostile`)
	assert.match(await page.locator('h2').nth(3).textContent(), /^<\/h2><script>window\.hostile=1/)
	assert.equal(await page.evaluate(() => window.hostile), undefined)
	// As if something had escaped all the same: an element of the page's is copied.
	const blocked = await page.evaluate(async () => {
		const seen = []
		document.addEventListener('securitypolicyviolation', (e) => seen.push(e.effectiveDirective))
		const script = document.createElement('script')
		try {
			script.src = '/uploads/evil.js'
		} catch (error) {
			return [String(error)]
		}
		document.head.append(script)
		await new Promise((done) => setTimeout(done, 500))
		return seen
	})
	assert.ok(blocked.length > 0)
	assert.equal(await page.evaluate(() => window.hostile), undefined)
	await page.goto(`${app}/framing`)
	await page.waitForFunction(() => document.querySelector('iframe'))
	for (const frame of page.frames().slice(1)) assert.equal(await frame.locator('form').count(), 0)
	assert.ok(complained(/frame-ancestors/))
})
