// SPDX-License-Identifier: Apache-2.0

// Package grants keeps what people have consented to at a platform: durable,
// sealed, and bound to one person. It is for platforms whose credential of a
// person comes out of a consent journey and cannot be asked for again.
//
// # What is kept
//
// A [Grant] belongs to an [Owner], who is a person as the app's session names
// them, at a provider. Its account, the person at the platform, belongs to no
// other owner: who comes second with the same account gets [ErrConflict], and
// what they brought is kept sealed until an operator decides.
//
// Every field that tells something is sealed with AES-256-GCM by the keyset,
// and the row's identity is the associated data: what is copied from one row
// to another does not open there. What rows are found by are pseudonyms
// (HMAC-SHA256). Whoever reads the database learns how many grants there are,
// of which provider, in which state, and when they changed.
//
// # Journeys
//
// A [Journey] begins at an app's page and ends there. Three random tokens hold
// it together, each of which only one party has:
//
//	link     the platform, which gives it back with the result
//	back     the address that the browser is sent back to
//	browser  a cookie of the browser that set out
//
// The platform's word only stages a grant: it becomes active when the browser
// that set out comes back, signed in as the one who set out. Otherwise A could
// send B the address to consent at, and read what is B's.
//
// # Databases
//
// SQLite, for one machine, and PostgreSQL. What was acknowledged is on the
// disk: SQLite runs with a write-ahead log and synchronous=FULL.
package grants
