// Runs in the widget. A last page has a message for the page that opened the
// widget; every other one can be left by Escape.
(() => {
	'use strict'
	const { message, origin } = document.body.dataset
	const opener = window.parent !== window ? window.parent : window.opener
	if (message && origin && opener) {
		opener.postMessage(JSON.parse(message), origin)
		if (window.parent === window) window.close()
	}
	addEventListener('keydown', (event) => {
		if (event.key === 'Escape') document.getElementById('cancel')?.click()
	})
})()
