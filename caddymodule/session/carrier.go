// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"net/http"
	"strings"
)

// maxCredential is longer than any session that works: browsers keep cookies
// of 4 KiB, and servers take headers of 8.
const maxCredential = 16 << 10

// Slot is where a request carries a session.
type Slot int

// The slots.
const (
	// InCookie is what a browser adds by itself, to requests of other sites'
	// pages as well.
	InCookie Slot = iota + 1
	// InBearer is the Authorization header, which only a program sets.
	InBearer
)

// Credential is what a request carries, and where.
type Credential struct {
	Text string
	Slot Slot
}

// Carrier says where sessions are looked for.
type Carrier struct {
	// Cookie is a cookie's name. Empty: none.
	Cookie string
	// Bearer is whether `Authorization: Bearer` counts, where there is no such
	// cookie.
	Bearer bool
}

// CheckCookie tells what is wrong with a cookie's name (RFC 6265 section 4.1.1).
func CheckCookie(name string) error {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c)
	}) {
		return errors.New("it is no name of a cookie")
	}
	return nil
}

// Guarded tells whether browsers keep subdomains and plain HTTP from setting
// the cookie (RFC 6265bis section 4.1.3.2).
func (c Carrier) Guarded() bool { return c.Cookie == "" || strings.HasPrefix(c.Cookie, "__Host-") }

// Find returns the credential of a request. The error is a refusal if there is
// none, or more than one: two parties may read two of them differently.
func (c Carrier) Find(h http.Header) (Credential, error) {
	if c.Cookie != "" {
		value, n := c.cookie(h["Cookie"])
		switch {
		case n > 1:
			return Credential{}, refuse("the cookie " + c.Cookie + " stands in the request more than once")
		case n == 1:
			return whole(value, InCookie)
		}
	}
	if lines := h["Authorization"]; c.Bearer && len(lines) > 0 {
		if len(lines) > 1 {
			return Credential{}, refuse("there are two Authorization headers")
		}
		scheme, value, _ := strings.Cut(lines[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Credential{}, refuse("the Authorization header is no Bearer")
		}
		return whole(strings.TrimLeft(value, " "), InBearer)
	}
	return Credential{}, refuse("the request carries no session")
}

// cookie finds the cookie in all Cookie headers: HTTP/2 may split them (RFC
// 9113 section 8.2.3). Only space and tab are trimmed: other blanks are part
// of a name here, while servers that take them for blanks see a name twice.
func (c Carrier) cookie(lines []string) (value string, n int) {
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			// Without = it is a name to some, a value to others: empty, then.
			name, v, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if strings.Trim(name, " \t") == c.Cookie {
				value, n = v, n+1
			}
		}
	}
	return value, n
}

// whole lets a credential pass that is of characters no two parties read
// differently (RFC 6265 section 4.1.1, without what has a meaning elsewhere).
func whole(text string, slot Slot) (Credential, error) {
	if n := len(text); n >= 2 && slot == InCookie && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	switch {
	case text == "":
		return Credential{}, refuse("the session is empty")
	case len(text) > maxCredential:
		return Credential{}, refuse("the session is too long")
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\' {
			return Credential{}, refuse("the session holds characters that none has")
		}
	}
	return Credential{text, slot}, nil
}
