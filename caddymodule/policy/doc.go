// SPDX-License-Identifier: Apache-2.0

// Package policy decides what a request may reach: whether its path has one
// reading only ([Canonical], [CheckTarget]), which line of a route policy covers
// it ([Table]), and whether the page that sent it may ([Origins]). It also brings
// addresses in the platform's answers to this server ([Mount]).
package policy
