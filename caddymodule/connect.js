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
// The page needs no other script, and loads this one once: each click opens the widget
// for whoever is signed in then. A Content-Security-Policy needs the app's origin and
// the widget's in script-src, and the app's in connect-src. The script knows of a popup
// only what the widget's own calls say: under Cross-Origin-Opener-Policy a window
// seems to be closed, and has no opener, while a person is still in it.
(() => {
	"use strict"
	const me = document.currentScript
	const base = new URL(".", me.src)
	const widgets = new Map() // by address: the loading of a script
	let opening = false // a click is on its way to the widget
	let refused = false // the widget has failed for somebody with a public token

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

	// begin begins a flow for whoever is signed in, and has the widget's script loaded.
	async function begin() {
		const flow = await ask("start", refused ? { recover: "publicToken" } : {})
		refused = false
		await load(flow.widget_url)
		return flow
	}

	// show opens the widget, and ends as it does, once.
	function show(flow, on) {
		const { widget_url, widget_global = "Connect", widget_token = "specialToken", redeem_url, expires_in, ...options } = flow
		let over = false
		const end = (f) => (...args) => {
			if (over) return
			over = true
			f(...args)
		}
		const finish = async (handed) => {
			try {
				// Somebody else may have signed in meanwhile, in another tab: the server
				// is told as whom the widget was opened, and refuses.
				await ask("redeem", { ...(handed !== null && typeof handed === "object" ? handed : { [widget_token]: handed }), opened_for: options.clientUserId })
			} catch (error) {
				on.onError?.(error)
				return
			}
			on.onFinish?.({ status: "connected" })
		}
		const close = () => on.onClose?.()
		// What the widget says goes to nobody: it is the platform's text.
		const fail = () => {
			// Perhaps it does not know the person's public token any more, which another's
			// attempt to use their token replaces as well: the next click has another one.
			refused = Boolean(options.publicToken)
			on.onError?.(failure("widget_failed", "The platform's widget has failed."))
		}
		try {
			widget_global.split(".").reduce((object, name) => object[name], window).open({
				...options,
				finish: end((error, handed) => error ? fail() : finish(handed)), close: end(close), error: end(fail),
				onFinish: end(finish), onClose: end(close), onError: end(fail),
			})
		} catch {
			end(fail)()
		}
	}

	// open begins the flow in the click, and never goes on with an earlier one: somebody
	// else may be signed in by now, and the widget would show them the account of the
	// person before. A popup may still open after the answer: browsers let a click count
	// for some seconds.
	async function open(on = {}) {
		if (opening) return // the second click of two
		opening = true
		try {
			show(await begin(), on)
		} catch (error) {
			on.onError?.(error)
		} finally {
			opening = false
		}
	}

	window.DelegateConnect = Object.freeze({ open })
})()
