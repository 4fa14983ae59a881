// SPDX-License-Identifier: Apache-2.0

// The demo's page in Chromium, for the tests of it. demo_test.go starts the
// demo and says where it is in DEMO_URL. With SCREENSHOT_DIR, pictures are left
// there.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach } from 'node:test'
import { chromium } from 'playwright-core'

export const url = process.env.DEMO_URL
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let browser
export let page // of the test that is running
let complaints // of the page: script errors and what the policy blocked

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
	page = await open()
})
afterEach(async () => {
	await page.context().close()
	assert.deepEqual(complaints, [])
})

// open opens the demo's page, or another one of its pages. elsewhere is what
// else may be asked for.
export async function open(options = {}, path = '', elsewhere = /^$/) {
	const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options })
	context.setDefaultTimeout(20_000)
	const opened = await context.newPage()
	opened.on('pageerror', (e) => complaints.push(String(e)))
	opened.on('console', (m) => {
		// A refused call is no fault of the page.
		if (m.type() === 'error' && !m.text().startsWith('Failed to load resource: the server responded with a status of 40')) {
			complaints.push(m.text())
		}
	})
	opened.on('request', (r) => {
		if (!r.url().startsWith(url) && !elsewhere.test(r.url())) complaints.push(`asked for ${r.url()}`)
	})
	await opened.goto(url + path)
	await opened.locator('#caddyfile').filter({ hasText: 'delegate_proxy mydatahelps' }).waitFor()
	return opened
}

// click presses a button and waits until all that it caused is shown.
export async function click(p, button) {
	await p.locator(`#${button}`).click()
	await p.locator('main:not([aria-busy=true])').waitFor()
}

export async function picture(p, name) {
	if (process.env.SCREENSHOT_DIR) {
		await p.screenshot({ path: join(process.env.SCREENSHOT_DIR, `demo-${name}.png`), fullPage: true })
	}
}

export async function check(p, state) {
	await p.evaluate(axe)
	const { violations, passes } = await p.evaluate(() => window.axe.run())
	assert.ok(passes.length > 10, 'axe checked next to nothing')
	assert.deepEqual(violations.map((v) => `${state}: ${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`), [])
}
