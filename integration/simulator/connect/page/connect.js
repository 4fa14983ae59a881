// The Connect widget of the simulated platform. It opens over the page that
// loads this file:
//
//   GLOBAL.open({ clientId, clientUserId, publicToken, finish(err, result), close(), error(err), mode, finishUrl, closeUrl })
//
// mode is "modal" (a frame over the page, the default), "popup" (a window, which
// cannot answer a page that has COOP), or "page" (this page is left, and the
// answer is in the query of finishUrl).
(() => {
	'use strict'
	const platform = new URL(document.currentScript.src).origin

	function address(options, mode) {
		const query = new URLSearchParams({
			clientId: options.clientId ?? '', clientUserId: options.clientUserId ?? '', publicToken: options.publicToken ?? '',
		})
		if (mode === 'page') {
			query.set('finishUrl', options.finishUrl ?? '')
			query.set('closeUrl', options.closeUrl ?? options.finishUrl ?? '')
		} else {
			query.set('origin', location.origin)
		}
		return `${platform}/connect?${query}`
	}

	// frame shows the widget in the page's top layer.
	function frame(url) {
		const dialog = document.createElement('dialog')
		dialog.id = 'connect-widget'
		dialog.setAttribute('aria-label', 'Connect')
		dialog.style.cssText = 'padding: 0; border: 0; border-radius: 8px; width: min(30em, 100vw); height: min(40em, 100vh); overflow: hidden'
		const inner = document.createElement('iframe')
		inner.title = 'Connect'
		inner.style.cssText = 'border: 0; width: 100%; height: 100%; display: block; color-scheme: light'
		inner.src = url
		dialog.append(inner)
		document.body.append(dialog)
		dialog.showModal()
		return { dialog, source: () => inner.contentWindow, remove: () => dialog.remove() }
	}

	function popup(url) {
		const opened = window.open(url, 'connect-widget', 'popup,width=480,height=640')
		return opened && { source: () => opened, remove() {} }
	}

	function open(options) {
		const fail = (err) => options.error ? options.error(err) : options.finish?.(err)
		const mode = options.mode ?? 'modal'
		const url = address(options, mode)
		if (mode === 'page') {
			location.assign(url)
			return
		}
		const shown = mode === 'popup' ? popup(url) : frame(url)
		if (!shown) {
			fail({ code: 'popup_blocked', message: 'the browser has opened no window' })
			return
		}
		const end = () => {
			removeEventListener('message', listen)
			shown.remove()
		}
		const listen = (event) => {
			if (event.origin !== platform || event.source !== shown.source() || event.data?.widget !== 'connect') return
			end()
			switch (event.data.event) {
			case 'finish':
				options.finish?.(null, event.data.result)
				break
			case 'error':
				fail(event.data.result)
				break
			default:
				options.close?.()
			}
		}
		addEventListener('message', listen)
		shown.dialog?.addEventListener('cancel', () => {
			end()
			options.close?.()
		})
	}

	window.GLOBAL = { open }
})()
