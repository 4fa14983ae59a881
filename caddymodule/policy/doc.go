// SPDX-License-Identifier: Apache-2.0

// Package policy decides what a request may reach: whether its path has one
// reading only ([Canonical], [Target]), which line of a route policy covers it
// ([Table]) and whether a browser sent it from a page that may ([Origins]).
package policy
