// SPDX-License-Identifier: Apache-2.0

// A vendor of data whose authorization server is oidc-provider: PKCE, `iss` in the
// redirect, and refresh tokens of which each is good once and, when it comes again,
// ends the consent.
//
// Settings: `callback`, where the client `app` has people come back to.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import Provider from 'oidc-provider'
import { open, settings } from './open.mjs'

const { url, ready } = await open()
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const provider = new Provider(url, {
  clients: [{
    client_id: 'app', client_secret: 'app-secret-0123456789', redirect_uris: [settings.callback],
    grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'client_secret_basic',
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  scopes: ['openid', 'data:read'],
  ttl: { AccessToken: 3600, Grant: 86400, IdToken: 3600, Interaction: 3600, RefreshToken: 86400, Session: 86400 },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: () => true,
  features: { revocation: { enabled: true } },
})
provider.on('server_error', (_ctx, error) => console.error(error))

// What has been granted to the client: how often, by grant type.
const granted = { authorization_code: 0, refresh_token: 0 }
provider.on('grant.success', (ctx) => granted[ctx.oidc.params.grant_type]++)

let from = 0 // access tokens that were issued before are not taken
const issued = new Map()
provider.on('access_token.saved', (token) => issued.set(token.jti, performance.now()))

const authorization = provider.callback()
ready(async (req, res) => {
  if (!req.url.startsWith('/data/')) return authorization(req, res)
  const [, bearer] = /^Bearer (.+)$/.exec(req.headers.authorization ?? '') ?? []
  const token = bearer && await provider.AccessToken.find(bearer)
  const good = token?.isValid && token.scopes.has('data:read') && issued.get(token.jti) >= from
  res.writeHead(good ? 200 : 401, { 'content-type': 'application/json' })
  res.end(JSON.stringify(good ? { account: token.accountId } : { error: 'invalid_token' }))
}, {
  expire() { from = performance.now() },
  granted: () => granted,
})
