// SPDX-License-Identifier: Apache-2.0

// A SMART app: fhirclient as its documentation has it on a server. Settings: `iss`, the
// FHIR server's address, and `client` and `scope` of the app.
//
// /launch sends the browser to the server's page, /return ends the flow and answers with
// what the app has: the state that fhirclient keeps, the patient's record, and their
// observations of all pages. /refresh spends the refresh token first.

import smart from 'fhirclient'
import { open, settings } from './open.mjs'

const { url, ready } = await open()

// One browser uses the app.
const kept = new Map()
const storage = {
  get: async (key) => kept.get(key),
  set: async (key, value) => { kept.set(key, value); return value },
  unset: async (key) => kept.delete(key),
}

async function read(client) {
  const { tokenResponse: { access_token: _, ...token }, ...state } = client.state
  const observations = await client.request(
    `Observation?patient=${client.patient.id}&_count=2`, { pageLimit: 0, flat: true },
  )
  return {
    token, endpoints: [state.authorizeUri, state.tokenUri], methods: state.codeChallengeMethods,
    patient: await client.patient.read(), user: client.getUserId(), observations,
    foreign: await client.request('Patient/nobody-of-ours').then(() => 'read', (error) => error.statusCode),
  }
}

ready(async (req, res) => {
  const app = smart(req, res, storage)
  try {
    const path = new URL(req.url, url).pathname
    if (path === '/launch') {
      await app.authorize({
        iss: settings.iss, clientId: settings.client, clientSecret: settings.secret, scope: settings.scope,
        redirectUri: `${url}/return`, pkceMode: 'required',
      })
      return
    }
    const client = await app.ready()
    if (path === '/refresh') await client.refresh()
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(await read(client)))
  } catch (error) {
    res.writeHead(500).end(String(error?.stack ?? error))
  }
})
