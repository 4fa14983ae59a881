// SPDX-License-Identifier: Apache-2.0

// Package delegation holds the values and contracts that the parts of this
// project share: who is asking ([Person]), what was authorised ([Delegation]),
// what is sent upstream ([Credential]), why something was refused ([Refusal]),
// and what a platform has to provide ([Provider]).
//
// A provider of a third party needs to import only this package. It knows
// nothing of Caddy.
package delegation
