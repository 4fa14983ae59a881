// SPDX-License-Identifier: Apache-2.0

// An app with Auth.js, at the address that it has with Next.js. By default its
// sessions are encrypted tokens in a cookie: with many groups in it, one is
// larger than a cookie may be, and comes in pieces. Settings: with `database`
// they are kept by the app instead, and users sign in by a link that they are
// sent.

import { randomBytes, randomUUID } from 'node:crypto'
import { ExpressAuth } from '@auth/express'
import Credentials from '@auth/express/providers/credentials'
import express from 'express'
import { open, settings } from './open.mjs'

const { ready } = await open()
const app = express()
app.set('trust proxy', 'loopback')

// users by name, with the number of groups that their session names.
const users = { alice: 1, bob: 120 }

// Tokens: the default.
const tokens = {
  providers: [Credentials({
    credentials: { user: {}, password: { type: 'password' } },
    authorize: ({ user }) => (Object.hasOwn(users, user) ? { id: user, name: user, email: `${user}@example.org` } : null),
  })],
  callbacks: {
    jwt({ token, user }) {
      if (user) token.groups = Array.from({ length: users[user.id] }, () => randomUUID())
      return token
    },
    // Auth.js tells no ID by itself.
    session({ session, token }) {
      session.user.id = token.sub
      return session
    },
  },
}

// A database, in memory, as its adapters have one.
const rows = { users: new Map(), sessions: new Map(), links: new Map() }
let sent // the last link

const database = {
  session: { strategy: 'database' },
  adapter: {
    createUser: (user) => {
      const made = { ...user, id: user.email.split('@')[0] }
      rows.users.set(made.id, made)
      return made
    },
    getUser: (id) => rows.users.get(id) ?? null,
    getUserByEmail: (email) => [...rows.users.values()].find((user) => user.email === email) ?? null,
    getUserByAccount: () => null,
    updateUser: (user) => {
      rows.users.set(user.id, { ...rows.users.get(user.id), ...user })
      return rows.users.get(user.id)
    },
    linkAccount: (account) => account,
    createSession: (session) => {
      rows.sessions.set(session.sessionToken, session)
      return session
    },
    getSessionAndUser: (token) => {
      const session = rows.sessions.get(token)
      return session ? { session, user: rows.users.get(session.userId) } : null
    },
    updateSession: (session) => {
      rows.sessions.set(session.sessionToken, { ...rows.sessions.get(session.sessionToken), ...session })
      return rows.sessions.get(session.sessionToken)
    },
    deleteSession: (token) => { rows.sessions.delete(token) },
    createVerificationToken: (link) => {
      rows.links.set(link.token, link)
      return link
    },
    useVerificationToken: ({ token }) => {
      const link = rows.links.get(token) ?? null
      rows.links.delete(token)
      return link
    },
  },
  providers: [{ id: 'email', type: 'email', name: 'Email', maxAge: 3600, sendVerificationRequest: ({ url }) => { sent = url } }],
  callbacks: {
    session: ({ session, user }) => ({ user: { id: user.id, email: user.email }, expires: session.expires }),
  },
}

app.use('/api/auth', ExpressAuth({
  secret: randomBytes(32).toString('hex'),
  trustHost: true,
  ...settings.database ? database : tokens,
}))
app.get('/', (_req, res) => res.send('<!doctype html><title>The app</title>'))

ready(app, { sent: () => sent })
