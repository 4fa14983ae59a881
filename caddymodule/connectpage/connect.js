// SPDX-License-Identifier: Apache-2.0

// connect.js opens the page on which a person connects their data sources, in a
// popup. A page loads it from the address of delegate_connect, such as
//
//	<script src="/connect/connect.js"></script>
//
// and calls, in the click on its Connect button,
//
//	DelegateConnect.open({
//		onFinish: ({ status, sources }) => …, // the answer of GET /status; a source whose
//		                                      // status is confirm waits for the person to
//		                                      // decide between two accounts, on our page
//		onClose: () => …,                     // the person has left without connecting
//		onError: (error) => …,                // error.code is a code of delegate_connect, or
//		                                      // one of network_error, popup_blocked
//	})
//
// One of the three is called, once; none if open is called again before, or while the
// popup shows a page where the person has to sign in. The page needs no other
// script. Its Content-Security-Policy needs the app's origin in script-src and
// connect-src. Without script, or where popups are blocked, a link to the page of
// delegate_connect does the same.
//
// How the person has ended is told by the popup over a BroadcastChannel, and what is
// connected by GET /status. The popup's window is never asked: under
// Cross-Origin-Opener-Policy it seems to be closed while a person is still in it.
(() => {
	"use strict"
	const base = new URL(".", document.currentScript.src)
	const reload = 3000 // ms in which a page is loaded again
	const answer = 15000 // ms in which a form, or the way back from the vendor, has its answer
	const attempts = 3 // at /status, before onError is told
	let stop = () => {} // ends the watch of the popup before

	function failure(code, message) {
		return Object.assign(new Error(message), { code })
	}

	// ask returns the answer of /status. The error has the code of the refusal
	// (RFC 9457); where an error page has taken its place, the code is in Proxy-Status
	// (RFC 9209).
	async function ask(query = "") {
		let response
		try {
			response = await fetch(new URL(`status${query}`, base), {
				credentials: "same-origin", cache: "no-store", redirect: "error", headers: { Accept: "application/json" },
			})
		} catch {
			throw failure("network_error", "The server cannot be reached.")
		}
		const answer = await response.json().catch(() => ({}))
		if (response.ok) return answer
		const [, code] = /details="?(\w+)/.exec(response.headers.get("Proxy-Status")) ?? []
		throw failure(answer.code ?? code ?? "network_error", answer.message ?? `The server answered with status ${response.status}.`)
	}

	// connections returns what is connected, to be compared.
	function connections({ sources = {} }) {
		return JSON.stringify(Object.entries(sources).filter(([, source]) => source.status === "connected"))
	}

	// open opens the popup in the click: later, browsers would block it.
	function open(on = {}) {
		stop()
		const popup = crypto.randomUUID()
		const channel = new BroadcastChannel(`delegate-connect ${base.pathname}`)
		const before = ask().catch(() => undefined) // what is connected already
		let over = false
		let here = false // a page of ours is shown
		let timer
		stop = () => {
			over = true
			clearTimeout(timer)
			channel.close()
		}
		const end = (f, ...args) => {
			if (over) return
			stop()
			f?.(...args)
		}
		const wait = (f, ms) => {
			clearTimeout(timer)
			if (!over && !here) timer = setTimeout(f, ms)
		}

		// finish ends with what is connected. If nothing else is than before, a person who
		// has not pressed Finish has left without connecting.
		async function finish(pressed) {
			try {
				const [now, old] = await Promise.all([ask(), before])
				if (here) return // the person is back
				if (pressed || !old || connections(now) !== connections(old)) end(on.onFinish, now)
				else end(on.onClose)
			} catch (error) {
				end(on.onError, error)
			}
		}

		// follow waits for whoever is at the vendor: they come back, or their flow ends at
		// last.
		async function follow(failures = 0) {
			try {
				const { status } = await ask("?wait=25")
				if (status === "pending") wait(follow, 1000)
				else wait(finish, answer)
			} catch (error) {
				if (failures + 1 < attempts) wait(() => follow(failures + 1), reload)
				else if (!here) end(on.onError, error)
			}
		}

		channel.onmessage = ({ data }) => {
			if (data?.popup !== popup || over) return
			clearTimeout(timer)
			here = data.type === "here"
			if (data.type === "finish") finish(true)
			else if (data.type === "close") finish()
			else if (data.type === "left") wait(finish, reload)
			else if (data.type === "away") wait(follow, reload)
		}
		if (!window.open(new URL(`?popup=${popup}`, base), "_blank", "popup,width=480,height=760")) {
			end(on.onError, failure("popup_blocked", "The browser has blocked the window. Allow popups of this site."))
		}
	}

	window.DelegateConnect = Object.freeze({ open })
})()
