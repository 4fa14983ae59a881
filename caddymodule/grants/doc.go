// SPDX-License-Identifier: Apache-2.0

// Package grants keeps the credentials that people's consent has brought: durable,
// sealed, and each bound to one person. It is for platforms whose credential of a
// person comes out of a consent flow and cannot be asked for again.
//
// # What is kept
//
// A [Grant] belongs to an [Owner]: a person as the app's session names them, at a
// provider. Its account, the person at the platform, belongs to no other owner. Who
// comes second with the same account gets [ErrConflict], and what they have brought
// is kept sealed until an operator decides.
//
// Every field that says something is sealed with AES-256-GCM, and the row's
// identity is the associated data: what is copied from one row to another does not
// open there. Rows are found by pseudonyms (HMAC-SHA256). Whoever reads the
// database learns how many grants there are, of which provider, in which state, and
// when they changed.
//
// # Consent flows
//
// A [Flow] begins at an app's page and ends there. Three random tokens hold it
// together, each of which only one party has:
//
//	CorrelationID  the platform, which gives it back with the result
//	StateToken     the address that the browser is sent back to
//	BrowserToken   a cookie of the browser that began the flow
//
// What the platform hands over is only staged. The grant counts once the browser
// that began the flow comes back, signed in as the person who began it. Otherwise
// an attacker could send a victim the address to consent at, and read the victim's
// data.
//
// A flow may also end by what the browser brings: a code, or a one-time token that
// the app's page or an app posts. One caller on one machine claims the flow, redeems
// outside of any transaction, and reports back ([Store.Claim], [Store.FinishClaim]).
//
// What an event does to a flow, and what its end does to the owner's grants, are two
// tables in the package consent.
//
// # Databases
//
// SQLite for one machine, and PostgreSQL. What was acknowledged is on the disk:
// SQLite runs with a write-ahead log and synchronous=FULL. The tables are still
// named after the flows' former word, journeys.
package grants
