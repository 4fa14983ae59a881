// SPDX-License-Identifier: Apache-2.0

// An app with sessions of express-session, kept in memory, whose users have
// numbers. It tells a browser who its user is in the shapes that Rails, Django
// and Laravel apps have, which keep such numbers and such cookies too.

import { randomBytes } from 'node:crypto'
import express from 'express'
import session from 'express-session'
import { open, settings } from './open.mjs'

const { ready } = await open()
const app = express()
app.set('trust proxy', 'loopback')
app.use(express.urlencoded({ extended: false }))
app.use(session({
  name: settings.cookie ?? 'connect.sid',
  secret: randomBytes(32).toString('hex'),
  resave: false,
  saveUninitialized: false,
  cookie: { path: '/', httpOnly: true, sameSite: 'lax', secure: true, maxAge: 3_600_000 },
}))

// users by name. The second has more digits than a JavaScript number holds, as
// a bigint of a database has.
const users = { alice: 42n, bob: 9007199254740993n }

app.post('/login', (req, res, next) => {
  const id = users[req.body.user]
  if (id === undefined) return res.sendStatus(401)
  req.session.regenerate((error) => {
    if (error) return next(error)
    req.session.user = String(id)
    res.redirect(303, '/')
  })
})

app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.redirect(303, '/')))
})

// tell answers with JSON whose numbers are written as they are.
const tell = (res, text) => res.type('json').send(text)

// Rails with Devise.
app.get('/rails/me', (req, res) => {
  if (!req.session.user) return tell(res.status(401), '{"error":"You need to sign in or sign up before continuing."}')
  tell(res, `{"user":{"id":${req.session.user},"email":"someone@example.org","admin":false}}`)
})
// Django's REST framework with session authentication.
app.get('/django/user/', (req, res) => {
  if (!req.session.user) return tell(res.status(403), '{"detail":"Authentication credentials were not provided."}')
  tell(res, `{"pk":${req.session.user},"username":"someone","email":"someone@example.org"}`)
})
// Laravel: a session whose CSRF token is over is 419.
app.get('/laravel/api/user', (req, res) => {
  if (!req.session.user) return tell(res.status(419), '{"message":"CSRF token mismatch."}')
  tell(res, `{"id":${req.session.user},"name":"Someone","email_verified_at":null}`)
})
// As our page on sessions has it.
app.get('/api/me', (req, res) => {
  if (!req.session.user) return tell(res.status(401), '{}')
  tell(res, `{"id":${req.session.user}}`)
})
// Others have nothing to say about nobody.
app.get('/empty/me', (req, res) => {
  if (!req.session.user) return res.sendStatus(204)
  tell(res, `{"id":${req.session.user}}`)
})
app.get('/null/me', (req, res) => {
  tell(res, `{"user":${req.session.user ? `{"id":${req.session.user}}` : null}}`)
})
app.get('/false/me', (req, res) => {
  tell(res, req.session.user ? `{"id":${req.session.user}}` : 'false')
})
// An app that answers only what its own page asks.
app.get('/picky/me', (req, res) => {
  if (req.get('Host') !== 'app.example.org' || req.get('X-Requested-With') !== 'XMLHttpRequest') return res.sendStatus(403)
  if (!req.session.user) return res.sendStatus(401)
  tell(res, `{"id":${req.session.user}}`)
})
app.get('/', (_req, res) => res.send('<!doctype html><title>The app</title>'))

ready(app)
