// SPDX-License-Identifier: Apache-2.0

// page.js runs in the pages on which people connect their sources, all of which
// work without it. In a popup that connect.js has opened it tells connect.js, by a
// BroadcastChannel of the app's origin, whether a page of ours is shown, and how the
// person has ended; and it closes the popup. The two never use each other's window:
// Cross-Origin-Opener-Policy takes that from them.
(() => {
	"use strict"
	const path = document.currentScript.dataset.path
	const name = `delegate-connect ${path}`

	// popup returns the popup's ID. It is in the address of the first page, and
	// remains with the window while the vendor's pages are in it.
	function popup() {
		const id = new URLSearchParams(location.search).get("popup")
		try {
			if (id) sessionStorage.setItem(name, id)
			return sessionStorage.getItem(name)
		} catch {
			return id // no storage: the person ends on the app's page, as without script
		}
	}

	// The answer of a form is not loaded again: who goes back from the vendor's page, or
	// reloads, gets the sources, and not a browser's question about the form.
	if (/^(start|update)\//.test(location.pathname.slice(path.length))) history.replaceState(null, "", path)

	const id = popup()
	const channel = new BroadcastChannel(name)
	const tell = (type) => channel.postMessage({ popup: id, type })

	// end tells connect.js how the person has ended, and closes the window. A browser
	// that does not let a page close it shows that the person can.
	function end(type) {
		window.removeEventListener("pagehide", left)
		tell(type)
		try {
			sessionStorage.removeItem(name)
		} catch {
			// nothing was stored
		}
		window.close()
		const note = document.getElementById("closable")
		document.querySelector("main").hidden = true
		note.hidden = false
		note.focus()
	}

	// Who goes to the vendor, or waits for a form's answer, may be away for long; else
	// the person has closed the window, or loads the page again.
	let away = false
	function left() {
		tell(away ? "away" : "left")
	}

	if (!id) return
	tell("here")
	window.addEventListener("pagehide", left)
	window.addEventListener("pageshow", (event) => {
		if (!event.persisted) return
		away = false // back from the vendor
		tell("here")
	})
	document.addEventListener("submit", () => { away = true })
	document.querySelector("a[rel=noreferrer]")?.addEventListener("click", () => { away = true })
	for (const link of document.querySelectorAll("[data-end]")) {
		link.addEventListener("click", (event) => {
			event.preventDefault()
			end(link.dataset.end)
		})
	}
})()
