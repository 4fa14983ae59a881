// SPDX-License-Identifier: Apache-2.0

// Package headers says which headers cross between a client and a platform.
//
// Towards the platform it is an allow-list ([Allow.Filter]), enforced once
// more on what goes on the wire ([Enforce]), because the reverse proxy in
// between adds headers of its own. Towards the client it removes what would
// let a platform act on the app's origin ([Clean]).
package headers
