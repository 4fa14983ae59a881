// SPDX-License-Identifier: Apache-2.0

// The Connect page in Chromium, for the tests of it. connect_page_test.go says where
// it is. With SCREENSHOT_DIR, pictures are left there.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach } from 'node:test'
import { chromium } from 'playwright-core'

export const app = process.env.APP_URL
export const vendor = process.env.VENDOR_URL

let browser
let contexts
let complaints // script errors and what a policy has blocked
let expected // complaints that a test wants
let people = 0

before(async () => {
	browser = await chromium.launch({
		executablePath: '/usr/bin/chromium',
		args: ['--no-sandbox', '--headless', '--disable-gpu', '--disable-quic', '--no-first-run',
			'--disable-background-networking', '--disable-component-update', '--disable-sync'],
	})
})
after(() => browser?.close())
beforeEach(() => {
	contexts = []
	complaints = []
	expected = /^$/
})
afterEach(async () => {
	for (const context of contexts) await context.close()
	assert.deepEqual(complaints.filter((c) => !expected.test(c)), [])
})

// expect has a test want complaints, such as of a policy.
export const expect = (pattern) => { expected = pattern }
export const complained = (pattern) => complaints.some((c) => pattern.test(c))

// enter opens a browser in which a person of their own is signed in: "new" has
// connected nothing, "full" has a source in each state, '' is nobody.
export async function enter(kind = 'new', options = {}) {
	const context = await browser.newContext({ viewport: { width: 760, height: 820 }, locale: 'en', ...options })
	contexts.push(context)
	context.setDefaultTimeout(60_000) // a busy machine is no fault of the page
	const user = kind && `${kind}-${process.pid}-${++people}`
	if (kind) await context.addCookies([{ name: 'user', value: user, url: app, httpOnly: true }])
	context.on('page', (page) => {
		page.on('pageerror', (e) => complaints.push(String(e)))
		page.on('dialog', (d) => complaints.push(`dialog ${d.message()}`))
		page.on('console', (m) => {
			if (m.type() === 'error' && !/favicon|status of 4\d\d/.test(m.text())) complaints.push(m.text())
		})
		page.on('request', (r) => {
			if (![app, vendor].some((origin) => r.url().startsWith(`${origin}/`))) complaints.push(`asked for ${r.url()}`)
		})
	})
	return { context, user, page: await context.newPage() }
}

// row returns a source's row of the page.
export const row = (page, title) => page.locator('li', { has: page.locator('h2', { hasText: title }) })

export async function picture(page, name) {
	if (process.env.SCREENSHOT_DIR) {
		await page.screenshot({ path: join(process.env.SCREENSHOT_DIR, `page-${name}.png`), fullPage: true })
	}
}
