// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var (
	errQuery      = errors.New("space, control character or # in the query")
	errParameters = errors.New("more than 90 query parameters: a server that reads only the first ones would not come to the member's")
)

// maxParameters is how many parameters a client may send. PHP stops reading after
// 1000 (max_input_vars), a hardened one after 100, and the member's come last.
const maxParameters = 90

// stripReserved returns a raw query without the parameters that a server could read
// as reserved ones. Each of the others is kept byte for byte, and their order too:
// a+b, %20 and an operator without "=" mean something to the platform.
//
// Parameters are what "&" divides. Where a server divides at ";" as well
// (arg_separator.input), one parameter holds several, and goes if any of them is
// reserved.
func stripReserved(raw string) (string, error) {
	count := 1
	for _, c := range []byte(raw) {
		switch {
		case c <= ' ' || c == 0x7f || c == '#': // some servers end the query there
			return "", delegation.Refuse(delegation.PathAmbiguous, errQuery)
		case c == '&' || c == ';':
			count++
		}
	}
	if count > maxParameters {
		return "", delegation.Refuse(delegation.RouteDenied, errParameters)
	}
	clean := true
	for parameter := range strings.SplitSeq(raw, "&") {
		if holdsReserved(parameter) {
			clean = false
			break
		}
	}
	if clean {
		return raw, nil
	}
	kept := make([]string, 0, count)
	for parameter := range strings.SplitSeq(raw, "&") {
		if !holdsReserved(parameter) {
			kept = append(kept, parameter)
		}
	}
	return strings.Join(kept, "&"), nil
}

// holdsReserved tells whether a server could read any part of a parameter as a
// reserved one.
func holdsReserved(parameter string) bool {
	for part := range strings.SplitSeq(parameter, ";") {
		name, _, _ := strings.Cut(part, "=")
		if mayReadAsReserved(name) {
			return true
		}
	}
	return false
}

// appendQuery puts the member's parameters behind what the client may send: of two
// with one name, PHP takes the last.
func (p IdentityPlacement) appendQuery(query string, m Member) string {
	var b strings.Builder
	b.Grow(len(query) + 128)
	b.WriteString(query)
	add := func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(value))
	}
	if p.style == Blocks || p.style == Datasets && !p.inPath {
		add("uid", m.UID)
	}
	if p.style == Blocks || p.style == Datasets {
		add("con_id", m.ConnectionID)
	}
	if p.style == Datasets {
		add("source_type", "connection")
		add("key", m.Key.Reveal())
	}
	return b.String()
}
