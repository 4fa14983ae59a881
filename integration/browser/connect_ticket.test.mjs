// SPDX-License-Identifier: Apache-2.0

// Connects people by a ticket, from a frontend on another site, and with a session
// cookie that is not sent on the way back from a vendor.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'

const app = process.env.APP_URL
const frontend = process.env.FRONTEND_URL
const people = JSON.parse(process.env.PEOPLE)

let browser
before(async () => {
	browser = await chromium.launch({
		executablePath: '/usr/bin/chromium',
		args: ['--no-sandbox', '--headless', '--disable-gpu', '--test-third-party-cookie-phaseout'],
	})
})
after(() => browser?.close())

// context is one browser, with all that it got from Caddy.
async function enter(t, options = {}) {
	const context = await browser.newContext({ locale: 'en', ...options })
	context.setDefaultTimeout(60_000)
	t.after(() => context.close())
	const page = await context.newPage()
	const answers = [], complaints = []
	page.on('response', (r) => { if (r.url().startsWith(app)) answers.push({ url: r.url(), status: r.status(), method: r.request().method(), headers: r.allHeaders() }) })
	page.on('console', (m) => { if (/Content Security Policy/.test(m.text())) complaints.push(m.text()) })
	t.after(() => assert.deepEqual(complaints, []))
	return { context, page, answers }
}

// consents goes from our page over the vendor's to where the vendor's Allow leads.
async function consents(page, account) {
	await page.getByRole('link', { name: 'Continue to' }).click()
	await page.waitForURL(/^http:\/\/localhost:\d+\/oauth2/)
	await page.getByRole('button', { name: account, exact: true }).click()
	await page.getByRole('button', { name: 'Allow' }).click()
}

const session = ({ cookie }) => cookie.split('=')

test('a frontend on another site connects a source, without a cookie of ours', async (t) => {
	const { context, page, answers } = await enter(t)
	await page.goto(`${frontend}/connected`)
	await page.evaluate((value) => sessionStorage.setItem('session', value), session(people[0])[1])
	await page.locator('#connect').click()
	await page.waitForURL(`${app}/connect/go/**`)
	const ticket = page.url()
	await page.getByText(people[0].identifier).waitFor()
	assert.equal(await page.getByRole('link').count(), 1)

	const stranger = await enter(t)
	assert.equal((await stranger.page.goto(ticket)).status(), 410)
	assert.deepEqual(await stranger.context.cookies(), [])

	await consents(page, 'Ada')
	await page.getByText('Status: connected.').waitFor()
	assert.equal(page.url(), `${frontend}/connected`)
	for (const { url, method, headers } of answers) {
		if (method === 'POST') assert.equal((await headers)['set-cookie'], undefined, url)
	}
	assert.deepEqual((await context.cookies(app)).map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite]), [['delegate-source_study.city_lab', true, 'Lax']])
	assert.equal((await page.goto(ticket)).status(), 410)

	// Who denies is told so.
	await page.goto(`${frontend}/connected`)
	await page.locator('#connect').click()
	await page.getByRole('link', { name: 'Continue to' }).click()
	await page.waitForURL(/^http:\/\/localhost:\d+\/oauth2/)
	await page.getByRole('button', { name: /Deny|Cancel/ }).click()
	await page.getByText('You have not allowed access.').waitFor()
})

for (const javaScriptEnabled of [true, false]) {
	test(`a session cookie with SameSite=Strict ${javaScriptEnabled ? 'with' : 'without'} script`, async (t) => {
		const { context, page, answers } = await enter(t, { javaScriptEnabled })
		const person = people[javaScriptEnabled ? 1 : 2]
		const [name, value] = session(person)
		await context.addCookies([{ name, value, url: app, httpOnly: true, sameSite: 'Strict' }])
		await page.goto(`${frontend}/`) // a link on another site
		await page.getByRole('link', { name: 'To the data sources' }).click()
		await page.getByText(person.identifier).waitFor()
		await page.getByRole('button', { name: 'Connect' }).click()
		await consents(page, javaScriptEnabled ? 'Ben' : 'Cleo')
		await page.waitForURL(`${app}/connect/?connect=connected&source=city_lab`)
		await page.getByText('Connected as').waitFor()
		const back = answers.filter(({ url }) => url.startsWith(`${app}/connect/return/`))
		assert.deepEqual(back.map(({ status }) => status), [200, 303]) // the control: the first time nobody is signed in
		assert.ok(!answers.some(({ url }) => url.includes('/app/login')))
	})
}

test('who is signed out goes to sign in, once', async (t) => {
	const { page, answers } = await enter(t)
	await page.goto(`${frontend}/`)
	await page.getByRole('link', { name: 'To the data sources' }).click()
	await page.waitForURL(`${app}/app/login`)
	assert.deepEqual(answers.filter(({ url }) => url === `${app}/connect/`).map(({ status }) => status), [200, 303])
})
