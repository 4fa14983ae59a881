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
// else may be asked for, refusals the statuses of calls that are refused.
export async function open(options = {}, path = '', elsewhere = /^$/, refusals = /^4(0\d|22)$/) {
	const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options })
	context.setDefaultTimeout(60_000) // a busy machine is no fault of the page
	const opened = await context.newPage()
	opened.on('pageerror', (e) => complaints.push(String(e)))
	opened.on('console', (m) => {
		const [, status] = /^Failed to load resource: the server responded with a status of (\d+)/.exec(m.text()) ?? []
		// A refused call is no fault of the page.
		if (m.type() === 'error' && !refusals.test(status)) {
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

export async function signIn(p, name) {
	await click(p, `sign-in-${name}`)
	assert.match(await text(p, 'user'), new RegExp(`^Signed in as ${name}`, 'i'))
}

// enter signs in as somebody whom no button is for: how often a user may begin
// is bounded.
export async function enter(p, user) {
	await p.evaluate((name) => fetch('/login', { method: 'POST', body: new URLSearchParams({ user: name }) }), user.toLowerCase())
	await says(p, 'user', `Signed in as ${user}.`)
}

export const text = (p, id) => p.locator(`#${id}`).textContent()
export const says = (p, id, what) => p.locator(`#${id}`).filter({ hasText: what }).waitFor()

// parts reads a list of the comparison: name to value and note.
export async function parts(p, id) {
	const lines = await p.locator(`#${id} li`).allTextContents()
	return Object.fromEntries(lines.map((l) => [l.slice(0, l.indexOf(':')).toLowerCase(), l.slice(l.indexOf(':') + 1).trim()]))
}

// reach presses Tab until every one of the controls had the focus, and it was
// seen.
export async function reach(p, controls) {
	const names = await p.locator(controls).evaluateAll((all) => all.filter((e) => e.checkVisibility()).map((e) => e.id || e.textContent))
	const reached = new Set()
	for (let n = 0; n < 40 && reached.size < names.length; n++) {
		await p.keyboard.press('Tab')
		const focus = await p.evaluate((wanted) => {
			const e = document.activeElement
			const style = getComputedStyle(e)
			return { wanted: e.matches(wanted), name: e.id || e.textContent, seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 }
		}, controls)
		if (focus.wanted) {
			reached.add(focus.name)
			assert.ok(focus.seen, `${focus.name}: the focus is invisible`)
		}
	}
	assert.deepEqual([...reached].sort(), names.sort())
}

// fits wants that nobody has to scroll sideways on a phone.
export async function fits(p, width = 360) {
	await p.setViewportSize({ width, height: 740 })
	const { wide, widest } = await p.evaluate(() => ({ wide: document.documentElement.scrollWidth, widest: innerWidth }))
	assert.ok(wide <= widest, `${wide} pixels wide`)
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
