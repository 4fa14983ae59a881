// SPDX-License-Identifier: Apache-2.0

// An OpenID provider: oidc-provider as its documentation sets it up, with the
// pages to sign in that it brings for development.
//
// Settings: `backchannel`, the address that the client `app` is told of logouts
// at; `sid`, whether access tokens that are JSON Web Tokens name their session;
// `bound`, whether tokens for offline use end with the session all the same.

import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import Provider from 'oidc-provider'
import { open, settings } from './open.mjs'

const { url, ready } = await open()

// resources are APIs. The first two take tokens of every client.
const resources = {
  'https://api.example.org': { accessTokenFormat: 'jwt' },
  'https://opaque.example.org': { accessTokenFormat: 'opaque' },
  'https://other.example.org': { accessTokenFormat: 'jwt' },
  'https://other-opaque.example.org': { accessTokenFormat: 'opaque' },
}

const callback = { redirect_uris: ['https://app.example.org/callback'], grant_types: ['authorization_code', 'refresh_token', 'client_credentials'] }
const clients = [
  {
    client_id: 'app', client_secret: 'app-secret-0123456789', ...callback,
    ...settings.backchannel && { backchannel_logout_uri: settings.backchannel, backchannel_logout_session_required: true },
  },
  { client_id: 'other', client_secret: 'other-secret-0123456789', ...callback },
  { client_id: 'caddy', client_secret: 'caddy-secret-0123456789', redirect_uris: [], response_types: [], grant_types: [] },
]

function newKey(kid = randomUUID()) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }
}

let keys = [newKey()]
const cookieKeys = [randomBytes(32).toString('hex')]

// build is the provider with the present keys. What it has issued is in a
// storage that all providers of the process share.
function build() {
  const provider = new Provider(url, {
    clients,
    jwks: { keys },
    cookies: { keys: cookieKeys },
    scopes: ['openid', 'offline_access', 'data:read'],
    ttl: { AccessToken: 3600, Grant: 86400, IdToken: 3600, Interaction: 3600, RefreshToken: 86400, Session: 86400 },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ...settings.bound && { expiresWithSession: () => true },
    // Logouts are told to loopback, which the provider's own way avoids, and
    // without its limit of 2.5 s, which a machine under load may miss.
    fetch: (address, { dispatcher: _, signal: __, ...options }) => fetch(address, options),
    formats: {
      customizers: {
        jwt(_ctx, token, parts) {
          if (settings.sid) parts.payload.sid = token.sid
        },
      },
    },
    features: {
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({ scope: 'data:read', audience: resource, ...resources[resource] }),
        useGrantedResource: () => true,
      },
    },
  })
  provider.on('server_error', (_ctx, error) => console.error(error))
  provider.on('backchannel.error', (_ctx, error) => console.error(error))
  return provider.callback()
}

let current = build()
ready((req, res) => current(req, res), {
  // A new key signs from now on. The old one is published until `retire`.
  rotate() {
    keys = [newKey(), ...keys]
    current = build()
  },
  // A new key takes the place and the name of the old one.
  replace() {
    keys = [newKey(keys[0].kid)]
    current = build()
  },
  retire() {
    keys = keys.slice(0, 1)
    current = build()
  },
})
