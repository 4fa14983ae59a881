// SPDX-License-Identifier: Apache-2.0

// Package mydex puts a Mydex member's identity on the requests that go to the
// Personal Data eXchange (PDX) in their name.
//
// The bearer is the operator's own and the same for everybody. What makes a
// request one member's is their connection: uid, con_id and the member key
// ([Member]). Nothing of it is ever taken from what a client sent: [Styles]
// judges the path and tells where the identity goes, and [Credential] drops
// every copy of it from the outgoing request before it sets the member's own.
//
// # Bodies
//
// Bodies are passed on unread. The platform reads identity from path, query
// and header, never from a JSON body, so that a "uid" or "key" in one is a
// field of a dataset like any other. It would be different with a form: PHP
// merges its fields with those of the query, and prefers them ($_REQUEST,
// $_POST). Forms are therefore refused, see [Credential.Apply]. All of the
// platform's routes take JSON.
package mydex
