// SPDX-License-Identifier: Apache-2.0

// Package headers says which headers cross between a client and a platform.
//
// Both ways it is an allow-list, for headers and trailers. Towards the
// platform ([Allow.Filter]) it is enforced once more on what goes on the wire
// ([Enforce]), because the reverse proxy in between adds headers of its own.
// Towards the client ([Answer.Clean]) it keeps the platform from acting on the
// app's origin, as do the rules that every answer is given ([SetRules]).
package headers
