// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"net/http"
	"strings"
)

// maxCredential is longer than any session that works: browsers keep cookies of
// 4 KiB, of which a session may take several, and most servers take headers of
// 8 to 32 in all.
const maxCredential = 32 << 10

// maxCookies is where net/http stops reading: of a request with more cookies it
// sees none. An app in Go would find nobody where a session is found here.
const maxCookies = 3000

// Source is where a request carries a session.
type Source int

// The slots.
const (
	// InCookie is what a browser adds by itself, to requests of other sites'
	// pages as well.
	InCookie Source = iota + 1
	// InBearer is the Authorization header, which only a program sets.
	InBearer
)

// Credential is what a request carries, and where.
type Credential struct {
	Text   string
	Source Source
	// CookieHeader is the Cookie header that has carried the text, as it came, where
	// that is not the one cookie with the text as its value: pieces, or a value
	// around it. Empty otherwise.
	CookieHeader string
}

// Extractor says where sessions are looked for.
type Extractor struct {
	// Cookie is a cookie's name. Empty: none.
	Cookie string
	// Bearer is whether `Authorization: Bearer` counts, where there is no such
	// cookie.
	Bearer bool
	// JSONPath is where the session stands in a cookie whose value is a JSON object:
	// a name, or a path. Empty: the cookie is the session.
	JSONPath string
}

// CheckCookieName tells what is wrong with a cookie's name (RFC 6265 section 4.1.1).
func CheckCookieName(name string) error {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c)
	}) {
		return errors.New("it is no name of a cookie")
	}
	return nil
}

// HostBound tells whether browsers keep subdomains and plain HTTP from setting
// the cookie (RFC 6265bis section 4.1.3.2).
func (c Extractor) HostBound() bool { return c.Cookie == "" || strings.HasPrefix(c.Cookie, "__Host-") }

// Extract returns the credential of a request. The error is a refusal if there is
// none, or more than one: two parties may read two of them differently.
func (c Extractor) Extract(h http.Header) (Credential, error) {
	if c.Cookie != "" {
		found := c.cookies(h["Cookie"])
		switch {
		case found.all > maxCookies:
			return Credential{}, refuse("the request carries more cookies than servers read")
		case found.occurrences > 1:
			return Credential{}, refuse("the cookie " + c.Cookie + " stands in the request more than once")
		case found.occurrences == 1:
			return c.fromCookie(unquote(found.value), func() string { return c.Cookie + "=" + found.value }, false)
		case found.found:
			return c.joinChunks(found)
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
		return validate(strings.TrimLeft(value, " "), InBearer)
	}
	return Credential{}, refuse(c.missing(h))
}

// validate lets a credential pass that is of characters no two parties read
// differently (RFC 6265 section 4.1.1, without what has a meaning elsewhere).
func validate(text string, slot Source) (Credential, error) {
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
	return Credential{Text: text, Source: slot}, nil
}
