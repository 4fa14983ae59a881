// SPDX-License-Identifier: Apache-2.0

// What the demo's pages show things with.

export const byId = (id) => document.getElementById(id)

export function make(tag, properties = {}, ...children) {
	const element = Object.assign(document.createElement(tag), properties)
	element.append(...children.filter((c) => c !== ''))
	return element
}

export function say(id, text, bad = false) {
	const element = byId(id)
	if (element.textContent !== text) {
		element.textContent = text
	}
	element.classList.toggle('bad', bad)
}

export function show(id, text) {
	byId(id).textContent = text
	byId(id).hidden = text === ''
}

export function parse(text) {
	try {
		return JSON.parse(text)
	} catch {
		return undefined
	}
}
