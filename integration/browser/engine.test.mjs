// SPDX-License-Identifier: Apache-2.0

// Drives the demo's section about the token engine, by key alone. Its switches
// are everybody's: nothing else may use the demo meanwhile.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, fits, open, page, picture, says } from './page.mjs'

// tile reads the number, or the word, under a label.
async function tile(p, label) {
	const shown = await p.locator('.tiles dt').evaluateAll((all, l) => all.find((dt) => dt.firstChild.textContent === l).nextSibling.textContent, label)
	return /^[\d\s]+$/.test(shown) ? Number(shown.replaceAll(/\s/g, '')) : shown
}

// press uses a control of the token engine by key, as who has no mouse does,
// and waits until it can be pressed again.
async function press(p, id, key) {
	const control = p.locator(`#${id}`)
	await p.locator(`#${id}[aria-disabled=false]`).waitFor()
	await control.focus()
	await p.keyboard.press(key)
	await p.locator(`#${id}[aria-disabled=false]`).waitFor()
	assert.equal(await p.evaluate(() => document.activeElement.id), id, 'the focus is lost')
}

async function flip(p, id, on) {
	await press(p, id, on ? 'Space' : 'Enter')
	await p.locator(`#${id}[aria-checked=${on}]`).waitFor()
}

// The section claims that nobody notices when the issuer is down. It has to be
// seen on the page, with numbers of the running Caddy.
test('the token engine works while the issuer is down, and the page shows it', async () => {
	const other = await open()
	await flip(page, 'switch-carol', true)
	await says(page, 'carol-outcome', /^Carol's latest call: 200 OK, .* in a row\. By the platform's word her token ends in \d+ minutes\.$/)
	await says(page, 'engine-story', /^Carol calls every second/)

	await press(page, 'send-crowd', 'Enter')
	await says(page, 'crowd-outcome', /^1\s000 clients of 100 people: 1\s000 good answers, none refused\. Slowest answer [\d\s]+ ms\. The platform counted 1\d\d token calls meanwhile, \d+ at once\.$/)
	await says(other, 'crowd-outcome', /1\s000 good answers/)
	assert.ok(await tile(page, 'Requests') >= 1000)
	assert.ok(await tile(page, 'Tokens at hand') >= 102)
	assert.ok(await tile(page, 'Minted first') >= 102)
	assert.ok(await tile(page, 'Most at once') <= 16)

	await flip(page, 'switch-issuer-down', true)
	await says(page, 'engine-story', /^The issuer is down, and Carol still works/)
	await other.locator('#switch-issuer-down[aria-checked=true]').waitFor()
	await press(page, 'send-crowd', 'Space')
	await says(page, 'crowd-outcome', /1\s000 good answers, none refused.* 0 token calls meanwhile\.$/)
	await picture(page, 'issuer-down')

	await press(page, 'drop-tokens', 'Enter')
	await says(page, 'carol-outcome', /^Carol's latest call: 503 issuer_unavailable, .* She has no token\.$/)
	await press(page, 'send-crowd', 'Enter')
	await says(page, 'crowd-outcome', /: 0 good answers, refused 1\s000 × 503 issuer_unavailable\./)
	await says(page, 'engine-story', /^The issuer is down, and Caddy leaves it alone/)
	const failed = await tile(page, 'Mints that failed')
	assert.ok(failed > 0 && failed < 50, `${failed} calls for tokens failed`)
	assert.ok(await tile(page, 'Requests refused') >= 1000)
	await check(page, 'issuer down')
	await picture(page, 'refused-from-memory')
	await page.emulateMedia({ colorScheme: 'dark' })
	await check(page, 'issuer down, dark')
	await picture(page, 'refused-from-memory-dark')
	await page.emulateMedia({ colorScheme: null })
	await fits(page)
	await picture(page, 'refused-from-memory-phone')

	await flip(page, 'switch-short-tokens', true)
	await flip(page, 'switch-issuer-down', false)
	await says(page, 'carol-outcome', /^Carol's latest call: 200 OK.* ends in [12]?\d s\.$/)
	await says(page, 'engine-story', /^Carol gets a new token about every 20 seconds/)
	assert.equal(await tile(page, 'Breaker'), 'closed')

	await flip(page, 'switch-carol', false)
	await says(page, 'carol-outcome', /^Carol is not using the app\.$/)
	await flip(page, 'switch-short-tokens', false)
	await other.context().close()
})

// Two loads at a time would show nothing; one that cannot be stopped from
// being pressed twice is a trap for whoever presses by key.
test('no control of the token engine can be pressed while the clients are on their way', async () => {
	const other = await open()
	await other.locator('#send-crowd[aria-disabled=false]').waitFor()
	const switches = () => page.locator('[role=switch]').evaluateAll((all) => all.map((s) => s.ariaChecked))
	await page.locator('#send-crowd[aria-disabled=false]').waitFor()
	const before = await switches()
	const pressed = []
	page.on('request', (r) => r.method() === 'POST' && pressed.push(new URL(r.url()).pathname))
	let release
	const held = new Promise((done) => { release = done })
	await page.route('**/demo/crowd', async (route) => {
		await held
		await route.continue()
	})
	await page.locator('#send-crowd[aria-disabled=false]').focus()
	await page.keyboard.press('Enter')
	for (const id of ['switch-carol', 'switch-short-tokens', 'switch-issuer-down', 'send-crowd', 'drop-tokens']) {
		await page.locator(`#${id}[aria-disabled=true]`).waitFor()
		await page.locator(`#${id}`).focus()
		await page.keyboard.press('Enter')
	}
	// On the other page they are shown to be on their way, too. It asks once in a
	// second, in which they may be over: here its question is asked until they are.
	await other.route('**/demo/engine', async (route) => {
		let answer
		for (const end = Date.now() + 20_000; Date.now() < end;) {
			answer = await route.fetch()
			if ((await answer.json()).running) break
		}
		await route.fulfill({ response: answer })
	}, { times: 1 })
	await other.waitForRequest('**/demo/engine')
	release()
	await other.locator('#send-crowd[aria-disabled=true]').waitFor()
	await page.locator('#send-crowd[aria-disabled=false]').waitFor()
	await other.locator('#send-crowd[aria-disabled=false]').waitFor()
	assert.deepEqual(pressed, ['/demo/crowd'])
	assert.deepEqual(await switches(), before)
	await other.context().close()
})
