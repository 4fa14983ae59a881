// SPDX-License-Identifier: Apache-2.0

// Posts special tokens that are not the user's to use.

import { exchangeOf } from './requests.js'
import { refused, send } from './session.js'
import { say, show } from './show.js'

const asked = async (token) => {
	const response = await fetch('/demo/health/asked', { method: 'POST', body: new URLSearchParams({ token }) })
	return (await response.json()).times
}

// tokens find the special token, and say whose it is. undefined: there is none yet.
const tokens = {
	again: async () => {
		const { token } = await exchangeOf('health')
		return token && { token, whose: 'Your token, used already' }
	},
	another: () => steal('another'),
	carol: () => steal('carol'),
}

async function steal(from) {
	const response = await fetch(`/demo/health/steal/${from}`, { method: 'POST' })
	if (!response.ok) return undefined
	const { user, token } = await response.json()
	const name = user[0].toUpperCase() + user.slice(1)
	return { token, whose: from === 'carol' ? `${name}'s token, never used` : `${name}'s token, used by ${name}` }
}

export async function attack(from, path) {
	const found = await tokens[from]()
	show('attack-answer', '')
	say('attack-asked', '')
	if (!found) {
		say('attack-outcome', from === 'again' ? 'Connect first: there is no token of yours.' : 'Nobody else has connected yet: do so as the other user.', true)
		return
	}
	const before = await asked(found.token)
	const { response, answer, shown } = await send({ method: 'POST', path, body: { specialToken: found.token } })
	const times = await asked(found.token) - before
	const verdict = response.ok ? 'The same outcome as before: you are connected, to your own account.' : refused(response, answer)
	say('attack-outcome', `${found.whose}: ${response.status} ${response.statusText}. ${verdict}`, !response.ok)
	say('attack-asked', times === 0
		? 'Caddy did not even ask the platform: the token counts for whoever has used it, once.'
		: 'Caddy exchanged it, read in the platform\'s answer that it is somebody else\'s, and kept nothing.')
	show('attack-answer', shown)
}
