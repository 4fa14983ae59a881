// SPDX-License-Identifier: Apache-2.0

// connect.js in Chromium, with an app and a platform that this file plays: the app
// answers as delegate_connect does, the platform serves a widget that does what the
// test says in window.act.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, beforeEach, test } from 'node:test'
import { chromium } from 'playwright-core'

const script = readFileSync(new URL('../../caddymodule/connect.js', import.meta.url))

// The widget notes how it was opened, and ends as act says.
const widget = (global) => `window.${global} = { open(options) {
	window.opened = { options: JSON.parse(JSON.stringify(options)), byClick: navigator.userActivation.isActive }
	window.act(options)
} }`

const page = `<!doctype html><title>app</title><button id="connect">Connect</button>
<script src="/connect/health/connect.js"></script><script src="/app.js"></script>`
const app = `window.ends = []
document.getElementById('connect').onclick = () => {
	DelegateConnect.open({
		onFinish: (end) => window.ends.push(['finish', end]),
		onClose: () => window.ends.push(['close']),
		onError: (error) => window.ends.push(['error', error.code, error.message, error instanceof Error]),
	})
}`

let browser, appServer, platform, appURL, widgetURL
let posts // what the app's endpoints were asked
let answers // by endpoint: functions of the response

const listen = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${server.address().port}`)))

function json(status, body, headers = {}) {
	return (response) => {
		response.writeHead(status, { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json', ...headers })
		response.end(JSON.stringify(body))
	}
}

const started = (more = {}) => json(200, {
	widget_url: `${widgetURL}/connect.js`, widget_global: 'Vendor', widget_token: 'specialToken',
	clientId: 'client-1', clientUserId: 'pairwise-1', publicToken: '', expires_in: 3600, ...more,
})

before(async () => {
	platform = createServer((request, response) => {
		if (request.url !== '/connect.js') {
			response.writeHead(404).end()
			return
		}
		response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(widget('Vendor'))
	})
	widgetURL = await listen(platform)
	appServer = createServer(async (request, response) => {
		const files = { '/': ['text/html', page], '/app.js': ['text/javascript', app], '/connect/health/connect.js': ['text/javascript', script] }
		if (files[request.url]) {
			response.writeHead(200, {
				'Content-Type': files[request.url][0], 'Cross-Origin-Opener-Policy': 'same-origin',
				'Content-Security-Policy': `default-src 'none'; script-src 'self' ${widgetURL}; connect-src 'self'`,
			}).end(files[request.url][1])
			return
		}
		let body = ''
		for await (const part of request) body += part
		const endpoint = request.url.replace('/connect/health/', '')
		if (!answers[endpoint]) { // such as /favicon.ico
			response.writeHead(404).end()
			return
		}
		posts.push({ method: request.method, endpoint, body: JSON.parse(body), type: request.headers['content-type'], cookie: request.headers.cookie })
		answers[endpoint](response)
	})
	appURL = await listen(appServer)
	browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--headless', '--disable-gpu'] })
})
after(async () => {
	await browser?.close()
	for (const server of [appServer, platform]) {
		server?.closeAllConnections()
		server?.close()
	}
})
beforeEach(() => {
	posts = []
	answers = { start: started(), redeem: json(201, { connected: true, publicToken: 'public-2' }) }
})

// open opens the app's page. act is what the widget does when it is opened. The page
// is closed at the end of the test, and must not have complained.
async function open(t, act) {
	const context = await browser.newContext()
	context.setDefaultTimeout(60_000)
	await context.addCookies([{ name: 'session', value: 'alice', url: appURL, httpOnly: true }])
	const p = await context.newPage()
	const complaints = []
	p.on('pageerror', (e) => complaints.push(String(e)))
	p.on('console', (m) => { if (/Content Security Policy/.test(m.text())) complaints.push(m.text()) })
	t.after(async () => {
		await context.close()
		assert.deepEqual(complaints, [])
	})
	await p.addInitScript(act)
	await p.goto(appURL)
	return p
}

const click = (p) => p.locator('#connect').click()
const ends = async (p, n = 1) => {
	await p.waitForFunction((wanted) => window.ends.length >= wanted, n)
	return p.evaluate(() => window.ends)
}
const asked = (endpoint) => posts.filter((post) => post.endpoint === endpoint)

test('the widget opens while the click counts, and what it hands over is posted', async (t) => {
	const p = await open(t, () => { window.act = (o) => o.finish(null, { humanId: 'h', clientId: 'c', sessionToken: 'once' }) })
	assert.equal(asked('start').length, 0, 'a page that is opened begins a flow')
	await click(p)
	assert.deepEqual(await ends(p), [['finish', { status: 'connected' }]])
	const opened = await p.evaluate(() => window.opened)
	assert.deepEqual(opened, { options: { clientId: 'client-1', clientUserId: 'pairwise-1', publicToken: '' }, byClick: true })
	const [redeem] = asked('redeem')
	assert.equal(redeem.method, 'POST')
	assert.equal(redeem.type, 'application/json')
	assert.equal(redeem.cookie, 'session=alice')
	assert.deepEqual(redeem.body, { humanId: 'h', clientId: 'c', sessionToken: 'once', opened_for: 'pairwise-1' })
})

test('a bare token is posted by its name, from a widget with the other words too', async (t) => {
	answers.start = started({ widget_token: 'code' })
	const p = await open(t, () => { window.act = (o) => o.onFinish('once') })
	await click(p)
	assert.deepEqual(await ends(p), [['finish', { status: 'connected' }]])
	assert.deepEqual(asked('redeem')[0].body, { code: 'once', opened_for: 'pairwise-1' })
})

test('a widget may be part of a larger object', async (t) => {
	answers.start = started({ widget_global: 'Platform.Vendor' })
	const p = await open(t, () => {
		window.act = (o) => o.close()
		window.Platform = { get Vendor() { return window.Vendor } }
	})
	await click(p)
	assert.deepEqual(await ends(p), [['close']])
})

test('a widget that ends twice ends once', async (t) => {
	const p = await open(t, () => {
		window.act = (o) => { o.close(); o.finish(null, { specialToken: 'once' }); o.onError(); o.onClose() }
	})
	await click(p)
	await p.evaluate(() => new Promise((done) => setTimeout(done)))
	assert.deepEqual(await ends(p), [['close']])
	assert.equal(asked('redeem').length, 0)
})

test('the next click has a flow of its own, and the new public token', async (t) => {
	const p = await open(t, () => { window.act = (o) => o.finish(null, { specialToken: 'once' }) })
	answers.start = started({ publicToken: 'public-2' })
	await click(p)
	await ends(p)
	await click(p)
	await ends(p, 2)
	assert.equal(await p.evaluate(() => window.opened.options.publicToken), 'public-2')
})

for (const [name, answer, code] of [
	['a refusal', json(422, { code: 'token_rejected', message: 'Begin anew.' }), 'token_rejected'],
	['an error page', (response) => response.writeHead(410, { 'Content-Type': 'text/html', 'Proxy-Status': 'caddy-delegate; error=http_request_denied; details="flow_expired"' }).end('<h1>Gone</h1>'), 'flow_expired'],
	['an account of another user', json(409, { code: 'account_conflict', message: 'Linked to another user.' }), 'account_conflict'],
	['an outcome that nobody knows', json(503, { code: 'issuer_unavailable', message: 'Try again later.' }), 'issuer_unavailable'],
	['nothing', (response) => response.destroy(), 'network_error'],
]) {
	test(`the page is told of ${name} by its code, and can go on`, async (t) => {
		const p = await open(t, () => { window.act = (o) => o.finish(null, { specialToken: 'once' }) })
		answers.redeem = answer
		await click(p)
		const [[what, got, message, isError]] = await ends(p)
		assert.deepEqual([what, got, isError], ['error', code, true])
		assert.ok(message.length > 5)
		answers.redeem = json(201, { connected: true })
		await click(p)
		assert.deepEqual((await ends(p, 2))[1], ['finish', { status: 'connected' }])
		assert.equal(asked('start').length, 2) // a flow for each click
	})
}

test('who was not signed in when the page was loaded is, at the click', async (t) => {
	answers.start = json(401, { code: 'session_required', message: 'Sign in and try again.' })
	const p = await open(t, () => { window.act = (o) => o.finish(null, { specialToken: 'once' }) })
	await click(p)
	assert.deepEqual(await ends(p), [['error', 'session_required', 'Sign in and try again.', true]])
	answers.start = started()
	await click(p)
	assert.deepEqual((await ends(p, 2))[1], ['finish', { status: 'connected' }])
})

test('the widget opens for who is signed in at the click, whoever was at the click before', async (t) => {
	const p = await open(t, () => { window.act = (o) => o.close() })
	await click(p)
	await ends(p)
	answers.start = started({ clientUserId: 'pairwise-2', publicToken: 'of-2' }) // somebody else has signed in, in this page or another tab
	await click(p)
	await ends(p, 2)
	assert.deepEqual((await p.evaluate(() => window.opened)).options, { clientId: 'client-1', clientUserId: 'pairwise-2', publicToken: 'of-2' })
	answers.start = json(401, { code: 'session_required', message: 'Sign in and try again.' })
	await p.evaluate(() => { window.opened = undefined })
	await click(p)
	assert.deepEqual((await ends(p, 3))[2].slice(0, 2), ['error', 'session_required'])
	assert.equal(await p.evaluate(() => window.opened), undefined)
})

test('two clicks open one widget', async (t) => {
	const p = await open(t, () => { window.times = 0; window.act = (o) => { window.times++; o.close() } })
	let release
	const held = new Promise((done) => { release = done })
	answers.start = async (response) => { await held; started()(response) }
	await click(p)
	await click(p)
	release()
	await ends(p)
	await click(p)
	await ends(p, 2)
	assert.equal(await p.evaluate(() => window.times), 2)
	assert.equal(asked('start').length, 2)
})

test('a widget that is not there, or fails, is told of', async (t) => {
	answers.start = started({ widget_url: `${widgetURL}/gone.js` })
	const p = await open(t, () => { window.act = () => { throw new Error('the platform says so') } })
	await click(p)
	assert.equal((await ends(p))[0][1], 'widget_unavailable')
	answers.start = started()
	await click(p)
	const [, [what, code, message]] = await ends(p, 2)
	assert.deepEqual([what, code], ['error', 'widget_failed'])
	assert.doesNotMatch(message, /says so/)
})

test('a widget that fails for a returning person gets another public token at the next click', async (t) => {
	answers.start = started({ publicToken: 'public-1' })
	const p = await open(t, () => { window.act = (o) => o.error({ code: 'public_token_invalid' }) })
	await click(p)
	assert.equal((await ends(p))[0][1], 'widget_failed')
	await p.evaluate(() => { window.act = (o) => o.close() })
	for (const n of [2, 3]) {
		await click(p)
		await ends(p, n)
	}
	assert.deepEqual(asked('start').map((post) => post.body), [{}, { recover: 'publicToken' }, {}])
})
