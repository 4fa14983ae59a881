// SPDX-License-Identifier: Apache-2.0

// An app with better-auth, users and sessions kept in memory. Settings: `base`,
// the app's public address; `secret`, with which sessions are told by a signed
// cookie besides, as its cookie cache does.

import { randomBytes } from 'node:crypto'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { toNodeHandler } from 'better-auth/node'
import { bearer, jwt } from 'better-auth/plugins'
import { open, settings } from './open.mjs'

const { ready } = await open()
const rows = { user: [], session: [], account: [], verification: [], jwks: [] }

const auth = betterAuth({
  baseURL: settings.base,
  secret: settings.secret ?? randomBytes(32).toString('hex'),
  ...settings.secret && { session: { cookieCache: { enabled: true, strategy: 'jwt', maxAge: 300 } } },
  database: memoryAdapter(rows),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [bearer(), jwt()],
})

ready(toNodeHandler(auth), {
  // The keys are over, as after the plugin's rotationInterval: the next token
  // is signed by a new one, and the old ones are published for a while.
  rotate() {
    for (const key of rows.jwks) key.expiresAt = new Date(Date.now() - 1)
  },
})
