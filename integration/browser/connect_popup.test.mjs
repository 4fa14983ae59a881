// SPDX-License-Identifier: Apache-2.0

// The Connect page in the popup of connect.js. The app, the page and the vendor all
// send Cross-Origin-Opener-Policy same-origin, and the vendor is another site.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { app, enter, row, picture } from './connect_page.mjs'

// open clicks on the app's button and returns the popup.
async function open({ context, page }) {
	if (page.url() === 'about:blank') await page.goto(`${app}/app`)
	const [popup] = await Promise.all([context.waitForEvent('page'), page.locator('#connect').click()])
	await popup.locator('main').waitFor()
	return popup
}

// connect goes to the vendor and back.
async function connect(popup, title, button = '#allow') {
	await row(popup, title).getByRole('button').first().click()
	await popup.getByRole('link', { name: 'Continue' }).click()
	await popup.locator(button).click()
	await popup.getByRole('status').waitFor()
}

const ends = async (page, n = 1) => {
	await page.waitForFunction((wanted) => window.ends.length >= wanted, n)
	return page.evaluate(() => window.ends)
}
const closed = async (popup) => popup.isClosed() || popup.waitForEvent('close')

test('Finish closes the popup, and the app is told what is connected', async () => {
	const person = await enter()
	const popup = await open(person)
	await picture(popup, 'popup')
	await connect(popup, 'City lab')
	await connect(popup, 'Ring')
	assert.equal(await popup.evaluate(() => window.opener), null, 'control: the vendor has cut the windows off')
	await popup.getByRole('link', { name: 'Finish' }).click()
	const [[what, status, sources], ...more] = await ends(person.page)
	assert.deepEqual([what, status, sources.city_lab.status, sources.ring.status, sources.st_mary.status, more], ['finish', 'connected', 'connected', 'connected', 'none', []])
	await closed(popup)
})

test('the page of the docs does what it says', async () => {
	const person = await enter()
	await person.page.goto(`${app}/example`)
	const result = person.page.locator('#result')
	const left = await open(person)
	await left.locator('[data-end]').click()
	await result.filter({ hasText: 'Nothing new was connected.' }).waitFor()
	const popup = await open(person)
	await connect(popup, 'City lab')
	await popup.locator('[data-end]').click()
	await result.filter({ hasText: 'Connected: city_lab.' }).waitFor()
	await person.page.evaluate(() => { window.open = () => null })
	await person.page.locator('#connect').click()
	await person.page.waitForURL(`${app}/connect/`)
})

test('who leaves without connecting closes the popup', async () => {
	const person = await enter()
	const popup = await open(person)
	await connect(popup, 'City lab', '#deny')
	await popup.locator('[data-end=close]').click()
	assert.deepEqual(await ends(person.page), [['close']])
	await closed(popup)
})

test('a popup that the person closes is noticed, at our page and at the vendor\'s', async () => {
	const person = await enter()
	const first = await open(person)
	await row(first, 'Ring').getByRole('button').first().click() // a flow that is never ended
	await first.getByRole('link', { name: 'Back' }).click()
	await first.locator('li').first().waitFor()
	await first.close({ runBeforeUnload: true })
	assert.deepEqual(await ends(person.page), [['close']])
	const second = await open(person)
	await connect(second, 'City lab')
	await second.close({ runBeforeUnload: true })
	const [what, , sources] = (await ends(person.page, 2))[1]
	assert.deepEqual([what, sources.city_lab.status], ['finish', 'connected'])
	const third = await open(person)
	await row(third, 'Ring').getByRole('button').first().click()
	await third.getByRole('link', { name: 'Continue' }).click()
	await third.locator('#allow').waitFor()
	await third.close({ runBeforeUnload: true })
	await person.page.evaluate(async ([user]) => { await fetch('/end', { method: 'POST', body: new URLSearchParams({ user, source: 'ring' }) }) }, [person.user])
	assert.deepEqual((await ends(person.page, 3))[2], ['close'])
})

test('a person who thinks for long at the vendor, or goes back, is not taken for one who has left', async () => {
	const person = await enter()
	const popup = await open(person)
	await row(popup, 'City lab').getByRole('button').first().click()
	await popup.getByRole('link', { name: 'Continue' }).click()
	await popup.locator('#allow').waitFor()
	await person.page.waitForTimeout(4500) // longer than connect.js waits before it asks
	await popup.goBack()
	await row(popup, 'City lab').getByText('Started, not finished').waitFor()
	await person.page.waitForTimeout(4500)
	await popup.goForward()
	await popup.locator('#allow').click()
	await popup.getByRole('status').waitFor()
	await person.page.waitForTimeout(4500)
	assert.deepEqual(await person.page.evaluate(() => window.ends), [])
	await popup.getByRole('link', { name: 'Finish' }).click()
	assert.equal((await ends(person.page))[0][0], 'finish')
})

test('a second popup takes the place of the first, and one app\'s popup ends no other\'s', async () => {
	const person = await enter()
	const first = await open(person)
	const other = await person.context.newPage()
	const otherPopup = await open({ context: person.context, page: other })
	await otherPopup.locator('[data-end]').click()
	assert.deepEqual(await ends(other), [['close']])
	const second = await open(person)
	await first.locator('[data-end]').click()
	await connect(second, 'City lab')
	await second.locator('[data-end]').click()
	assert.deepEqual((await ends(person.page)).map(([what]) => what), ['finish'])
})

test('a blocked popup, and a session that has ended, are told of by their codes', async () => {
	const person = await enter()
	await person.page.goto(`${app}/app`)
	await person.page.evaluate(() => { window.open = () => null })
	await person.page.locator('#connect').click()
	assert.deepEqual(await ends(person.page), [['error', 'popup_blocked', true]])
	await person.page.goto(`${app}/app`)
	const popup = await open(person)
	await person.context.clearCookies()
	await popup.locator('[data-end]').click()
	assert.deepEqual(await ends(person.page), [['error', 'session_required', true]])
})
