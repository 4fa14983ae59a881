// SPDX-License-Identifier: Apache-2.0

// connect.js opens the widget by which a person connects an account at a data
// platform, and hands over to this server what the widget gives. A page loads it
// from the address of delegate_connect, such as
//
//	<script src="/connect/health/connect.js"></script>
//
// and calls, in the click on its Connect button,
//
//	DelegateConnect.open({
//		onFinish: ({ status }) => …, // connected
//		onClose: () => …,            // the person has closed the widget
//		onError: (error) => …,       // error.code is a code of delegate_connect, or one of
//		                             // network_error, widget_unavailable, widget_failed
//	})
//
// A page that stays while another person signs in calls DelegateConnect.reset() then:
// the widget would be opened for the first one otherwise, as whom it is known.
//
// The page needs no other script, and loads this one once somebody is signed in: it
// begins a flow for them, so that a click opens the widget at once. A
// Content-Security-Policy needs the app's origin and the widget's in script-src, and
// the app's in connect-src. The script knows of a popup only what the
// widget's own calls say: under Cross-Origin-Opener-Policy a window seems to be
// closed, and has no opener, while a person is still in it.
(() => {
	"use strict"
	const me = document.currentScript
	const base = new URL(".", me.src)
	const widgets = new Map() // by address: the loading of a script
	let prepared = null // {flow, ready, failed}: the flow that the next click goes on with

	function failure(code, message) {
		return Object.assign(new Error(message), { code })
	}

	// ask posts to delegate_connect and returns its answer. The error has the code
	// of the refusal (RFC 9457); where an error page has taken its place, the code
	// is in Proxy-Status (RFC 9209).
	async function ask(endpoint, body) {
		let response
		try {
			response = await fetch(new URL(endpoint, base), {
				method: "POST", credentials: "same-origin", cache: "no-store", redirect: "error",
				headers: { "Content-Type": "application/json", Accept: "application/json" },
				body: JSON.stringify(body),
			})
		} catch {
			throw failure("network_error", "The server cannot be reached.")
		}
		const answer = await response.json().catch(() => ({}))
		if (response.ok) return answer
		const [, code] = /details="?(\w+)/.exec(response.headers.get("Proxy-Status")) ?? []
		throw failure(answer.code ?? code ?? "network_error", answer.message ?? `The server answered with status ${response.status}.`)
	}

	// load has the widget's script run once.
	function load(address) {
		if (!widgets.has(address)) {
			widgets.set(address, new Promise((loaded, failed) => {
				const script = document.createElement("script")
				script.src = address
				script.nonce = me.nonce
				script.onload = loaded
				script.onerror = () => {
					widgets.delete(address) // the next click tries again
					script.remove()
					failed(failure("widget_unavailable", "The platform's widget cannot be loaded."))
				}
				document.head.append(script)
			}))
		}
		return widgets.get(address)
	}

	// prepare begins a flow and loads the widget, so that a click opens it at once:
	// browsers let a page open a popup only in the click itself.
	function prepare(body = {}) {
		const next = { flow: null }
		next.ready = (async () => {
			const flow = await ask("start", body)
			flow.ends = Date.now() + flow.expires_in * 1000
			await load(flow.widget_url)
			next.flow = flow
		})()
		next.ready.catch(() => { if (prepared === next) prepared = null }) // the next click tells why
		prepared = next
		return next
	}

	// show opens the widget, and ends as it does, once.
	function show(flow, on) {
		const { widget_url, widget_global = "Connect", widget_token = "specialToken", redeem_url, expires_in, ends, ...options } = flow
		let over = false
		const end = (f) => (...args) => {
			if (over) return
			over = true
			f(...args)
		}
		const finish = async (handed) => {
			try {
				await ask("redeem", handed !== null && typeof handed === "object" ? handed : { [widget_token]: handed })
			} catch (error) {
				// After a refusal of the token the flow takes another one. After all else it
				// has ended, or is kept for this token, whose outcome nobody knows.
				if (error.code !== "token_rejected") prepared = null
				on.onError?.(error)
				return
			}
			prepare() // a returning person's public token is another one by now
			on.onFinish?.({ status: "connected" })
		}
		const close = () => on.onClose?.()
		// What the widget says goes to nobody: it is the platform's text.
		const fail = () => {
			// Perhaps it does not know the person's public token any more, which
			// another's attempt to use their token replaces as well: the next click
			// has another one.
			if (options.publicToken) prepare({ recover: "publicToken" })
			on.onError?.(failure("widget_failed", "The platform's widget has failed."))
		}
		try {
			window[widget_global].open({
				...options,
				finish: end((error, handed) => error ? fail() : finish(handed)), close: end(close), error: end(fail),
				onFinish: end(finish), onClose: end(close), onError: end(fail),
			})
		} catch {
			end(fail)()
		}
	}

	function open(on = {}) {
		const next = prepared ?? prepare()
		if (next.flow && Date.now() < next.flow.ends) {
			show(next.flow, on)
			return
		}
		const ready = next.flow ? prepare() : next
		ready.ready.then(() => show(ready.flow, on), (error) => on.onError?.(error))
	}

	window.DelegateConnect = Object.freeze({ open, reset: () => { prepare() } })
	prepare()
})()
