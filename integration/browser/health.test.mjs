// SPDX-License-Identifier: Apache-2.0

// Drives the demo's page about the Connect platform, and the platform's widget in
// it, as people do. Each test takes an account of its own: who has one keeps it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, click, enter, fits, open, parts, picture, reach, says, signIn, text, url } from './page.mjs'

const platform = /^http:\/\/localhost:\d+\/connect[./?]|^http:\/\/localhost:\d+\/connect$|^data:,$/

const visit = (options) => open(options, 'health.html', platform)

// widget waits until the widget shows something, and returns its frame.
async function widget(p, shown) {
	await p.frameLocator('#connect-widget iframe').locator(shown).first().waitFor()
	return p.frames().find((f) => f.url().startsWith('http://localhost'))
}

// begin clicks Connect, again after a while if the user has begun too often, and
// returns the widget's frame.
async function begin(p) {
	for (;;) {
		await p.locator('#connect').click()
		const opened = widget(p, '.account')
		const busy = p.locator('#connect-outcome', { hasText: 'too_many_requests' }).waitFor()
		for (const either of [opened, busy]) either.catch(() => {})
		if (await Promise.race([opened.then(() => true), busy.then(() => false)])) return opened
		await p.waitForTimeout(10_000)
	}
}

// consent clicks from Connect to "Finish connecting data". The platform remembers
// which sources an account has connected.
async function consent(p, account, sources = ['Steady Scale', 'Pulse Band']) {
	await (await begin(p)).getByRole('button', { name: account, exact: true }).click()
	for (const source of sources) {
		const page = await widget(p, '#finish')
		const button = page.getByRole('button', { name: `Connect ${source}`, exact: true })
		if (await button.count()) await button.click()
		await page.getByRole('button', { name: `Disconnect ${source}`, exact: true }).waitFor()
	}
	await picture(p, 'health-widget')
	await (await widget(p, '#finish')).getByRole('button', { name: 'Finish connecting data' }).click()
}

async function connect(p, account) {
	await consent(p, account)
	await says(p, 'connect-outcome', 'You have finished, and are connected.')
	await says(p, 'consent', /^connected$/)
}

// listen remembers all that the browser sends to the app, in full.
function listen(p) {
	const all = []
	p.on('request', (r) => all.push(r.allHeaders().then((headers) => ({ url: r.url(), body: r.postData() ?? '', headers }))))
	return () => Promise.all(all)
}

// The whole promise: people consent in the widget and see their data. Their browser
// holds a special token, and never the access token or the client secret.
test('a person connects in the widget, sees their data and disconnects', async () => {
	const p = await visit()
	const requests = listen(p)
	await p.locator('#connect').click()
	assert.equal(await text(p, 'connect-outcome'), 'Sign in first.')
	await signIn(p, 'alice')
	await click(p, 'call-profile')
	assert.match(await text(p, 'call-outcome'), /: 403 Forbidden, \d+ ms\. Refused by Caddy, code consent_required\.$/)
	assert.match(await text(p, 'received'), /none was passed on/)

	// Who closes the widget has not connected anything.
	await p.locator('#connect').click()
	await (await widget(p, '#cancel')).getByRole('button', { name: 'Cancel' }).click()
	await says(p, 'connect-outcome', 'You have closed the widget')
	await connect(p, 'Ada')

	const token = await text(p, 'token')
	assert.match(token, /^st-\w{20,}$/)
	const asked = await parts(p, 'asked')
	assert.equal(asked.specialtoken, `${token} from your browser, and used up`)
	assert.match(asked.clientsecret, /^•{8}\w{4} never in your browser$/)
	const answered = await parts(p, 'answered')
	assert.match(answered.accesstoken, /^•{8}\w{4} never in your browser$/)
	assert.match(answered.usercode, /^uc-\S+ stays in Caddy$/)
	assert.match(answered.clientuserid, /^\S{16,} as your widget was opened/)

	await click(p, 'call-profile')
	assert.match(await text(p, 'call-outcome'), /: 200 OK, \d+ ms\. As your account\.$/)
	assert.match(await text(p, 'call-answer'), /"name": "Ada"/)
	const received = await parts(p, 'received')
	assert.match(received.authorization, /^Bearer •{8}\w{4} added by Caddy: the account's access token, never in your browser$/)
	assert.equal(received.authorization.slice(7, 19), answered.accesstoken.slice(0, 12), 'not the token of the exchange')
	assert.match(await text(p, 'secrets'), /^The platform received 1 secret\. Your browser did not send it/)
	const sent = await parts(p, 'sent')
	assert.match(sent.cookie, /^session=•{8}\w{4}.* stays here/)
	assert.equal('authorization' in sent, false)
	for (const [name, what] of Object.entries({ weight: /"unit": "kg"/, activities: /"steps"/ })) {
		await click(p, `call-${name}`)
		assert.match(await text(p, 'call-answer'), what)
	}
	await click(p, 'call-glucose')
	assert.equal(await text(p, 'call-answer'), '[]')
	await click(p, 'call-sources')
	assert.match(await text(p, 'call-outcome'), /code route_denied\.$/)
	await picture(p, 'health-connected')

	await click(p, 'disconnect')
	assert.equal(await text(p, 'consent'), 'none')
	assert.equal((await p.content()).includes(token), false, 'the special token is still on the page')
	await click(p, 'call-profile')
	assert.match(await text(p, 'call-outcome'), /code consent_required\.$/)

	// What the page says of the browser is so: no end of a secret is in what it sent.
	const ends = [answered.accesstoken, asked.clientsecret].map((s) => s.slice(8, 12))
	for (const r of await requests()) {
		assert.equal('authorization' in r.headers, false, r.url)
		if (!r.url.startsWith(url)) assert.equal('cookie' in r.headers, false, 'the platform got a cookie')
		for (const end of ends) assert.equal(r.url.endsWith(end) || r.body.includes(`${end}"`), false, r.url)
	}
	await p.context().close()
})

// A special token is good once, and for the person in whose page the widget was.
test('a second person gets nothing by the first one\'s special token, nor by an unused one', async () => {
	const [alice, bob] = [await visit(), await visit()]
	await enter(alice, 'Erin')
	await signIn(bob, 'bob')
	await click(alice, 'attack-again')
	assert.match(await text(alice, 'attack-outcome'), /^Connect first/)
	await connect(alice, 'Ben')
	const token = await text(alice, 'token')

	await click(bob, 'attack-another')
	assert.equal(await text(bob, 'attack-outcome'), 'Erin\'s token, used by Erin: 422 Unprocessable Entity. Refused by Caddy, code token_rejected.')
	assert.match(await text(bob, 'attack-asked'), /did not even ask the platform/)
	await click(bob, 'attack-carol')
	assert.equal(await text(bob, 'attack-outcome'), 'Carol\'s token, never used: 409 Conflict. Refused by Caddy, code account_conflict.')
	assert.match(await text(bob, 'attack-asked'), /somebody else's, and kept nothing/)
	await check(bob, 'refused')
	await picture(bob, 'health-refused')
	await click(bob, 'call-profile')
	assert.match(await text(bob, 'call-outcome'), /code consent_required\.$/)
	assert.equal((await bob.content()).includes(token), false, 'her token is on his page')

	// Her own counts once as well, and what she has stays hers.
	await click(alice, 'attack-again')
	assert.match(await text(alice, 'attack-outcome'), /^Your token, used already: (422 .*token_rejected|201 .*The same outcome)/)
	assert.match(await text(alice, 'attack-asked'), /did not even ask the platform/)
	await click(alice, 'call-profile')
	assert.match(await text(alice, 'call-answer'), /"name": "Ben"/)

	// Bob connects an account of his own.
	await connect(bob, 'Cleo')
	await click(bob, 'call-profile')
	assert.match(await text(bob, 'call-answer'), /"name": "Cleo"/)
	await click(alice, 'call-profile')
	assert.match(await text(alice, 'call-answer'), /"name": "Ben"/)

	// Nor does the next user in the same browser see anything of it.
	await enter(bob, 'Finn')
	assert.doesNotMatch(await bob.content(), /Cleo|st-\w{20}/)
	assert.equal(await text(bob, 'consent'), 'none')
	await signIn(bob, 'bob')
	await click(bob, 'disconnect')
	await click(alice, 'disconnect')
	await bob.context().close()
	await alice.context().close()
})

// An account is one user's, until they disconnect.
test('an account that another user has connected is refused', async () => {
	const [first, second] = [await visit(), await visit()]
	await enter(first, 'Gwen')
	await enter(second, 'Hugo')
	await connect(first, 'Cleo')
	await consent(second, 'Cleo', [])
	await says(second, 'connect-outcome', 'Not connected, code account_conflict. This account is connected by another user of the app.')
	await click(second, 'call-profile')
	assert.match(await text(second, 'call-outcome'), /code account_conflict\.$/)
	await click(first, 'call-profile')
	assert.match(await text(first, 'call-answer'), /"name": "Cleo"/)
	await click(first, 'disconnect')
	await consent(second, 'Cleo', [])
	await says(second, 'connect-outcome', 'You have finished, and are connected.')
	await click(second, 'disconnect')
	await second.context().close()
	await first.context().close()
})

// Who uses no mouse has to get everywhere.
test('the tab and every control of it are reached by key, with a visible focus', async () => {
	const p = await open({}, '', platform)
	await p.getByRole('link', { name: 'Connect platform', exact: true }).focus()
	await p.keyboard.press('Enter')
	await p.waitForURL('**/health.html')
	await p.locator('#caddyfile').filter({ hasText: 'delegate_connect health' }).waitFor()
	assert.equal(await p.locator('nav [aria-current=page]').textContent(), 'Connect platform')
	assert.equal(await p.locator('[style], style, script:not([src])').count(), 0)
	await reach(p, 'a, button, input')
	await p.context().close()
})

for (const [colorScheme, user, account] of [['light', 'Ines', 'Ada'], ['dark', 'Jon', 'Ben']]) {
	// Barriers for people with disabilities, as far as a program finds them.
	test(`axe finds nothing about the Connect platform in ${colorScheme} colours, and it fits a phone`, async () => {
		const p = await visit({ colorScheme })
		await check(p, 'signed out')
		await enter(p, user)
		await click(p, 'call-profile')
		await check(p, 'refused')
		await connect(p, account)
		await click(p, 'call-weight')
		await click(p, 'attack-again')
		await check(p, 'connected')
		await picture(p, `health-${colorScheme}`)
		await fits(p)
		await fits(p, 320)
		await picture(p, `health-phone-${colorScheme}`)
		await click(p, 'disconnect')
		await p.context().close()
	})
}
