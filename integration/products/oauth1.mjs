// SPDX-License-Identifier: Apache-2.0

// A vendor of OAuth 1.0a that answers 204 to a request which oauth-1.0a signs as its
// sender has, and 401 to any other.

import { createHmac } from 'node:crypto'
import OAuth from 'oauth-1.0a'
import { open } from './open.mjs'

const { url, ready } = await open()
const consumer = { key: 'app+1', secret: 'the client\'s secret & more' }
const tokens = { '': '', 'tökén/1': 'the token\'s secret = 100 %' }

// group is parameters by name, as oauth-1.0a takes them.
function group(all) {
  const data = Object.create(null)
  for (const [name, value] of all) {
    if (name in data) data[name] = [data[name], value].flat()
    else data[name] = value
  }
  return data
}

ready(async (req, res) => {
  let body = ''
  for await (const chunk of req) body += chunk
  const at = new URL(req.url, url)
  const isForm = (req.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')
  const all = [...at.searchParams, ...isForm ? new URLSearchParams(body) : []]
  for (const [, name, value] of (req.headers.authorization ?? '').matchAll(/(oauth_\w+)="([^"]*)"/g)) {
    all.push([name, decodeURIComponent(value)])
  }
  const { oauth_signature: signature, ...data } = group(all)
  const algorithm = { 'HMAC-SHA1': 'sha1', 'HMAC-SHA256': 'sha256' }[data.oauth_signature_method]
  if (!algorithm || data.oauth_consumer_key !== consumer.key) return res.writeHead(401).end('client')
  const oauth = OAuth({
    consumer,
    signature_method: data.oauth_signature_method,
    hash_function: (base, key) => createHmac(algorithm, key).update(base).digest('base64'),
  })
  const expected = oauth.getSignature({ method: req.method, url: at.origin + at.pathname, data }, tokens[data.oauth_token ?? ''], {})
  res.writeHead(expected === signature ? 204 : 401).end()
})
