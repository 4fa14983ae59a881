// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"net/http"
	"strings"
)

// maxCredential is the length of a credential, in bytes: more than works elsewhere.
// Browsers keep cookies of 4 KiB, of which a session may take several, and most
// servers take 8 to 32 KiB of headers.
const maxCredential = 32 << 10

// maxCookies is the number of cookies above which net/http reads none of a request.
// An app in Go would find nobody where a session is found here.
const maxCookies = 3000

// Source is the part of a request that a credential comes from.
type Source int

const (
	// InCookie is a cookie, which browsers add by themselves, also to requests of
	// other sites' pages.
	InCookie Source = iota + 1
	// InBearer is the Authorization header, which only a program sets.
	InBearer
)

// Credential is what a request shows to prove whose session it is.
type Credential struct {
	// Text is the session: printable ASCII without blanks, quotes, commas,
	// semicolons and backslashes, at most 32 KiB.
	Text   string
	Source Source
	// CookieHeader is the part of the Cookie header that the text was taken from, as
	// it came, if that is not one cookie with the text as its value: chunks, or
	// `Bearer` and the text. Empty otherwise.
	CookieHeader string
}

// Extractor extracts credentials from the headers of requests.
type Extractor struct {
	// Cookie is the name of a cookie. Empty: cookies are not read.
	Cookie string
	// Bearer is whether `Authorization: Bearer` is read where there is no such cookie.
	Bearer bool
	// JSONPath is the member of the session in a cookie whose value is a JSON object:
	// a name, or a path such as a.b. Empty: the cookie's value is the session.
	JSONPath string
}

// CheckCookieName returns an error unless the name is a token (RFC 6265 section
// 4.1.1).
func CheckCookieName(name string) error {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c)
	}) {
		return errors.New("it is no name of a cookie")
	}
	return nil
}

// HostBound tells whether browsers keep subdomains and plain HTTP from setting the
// cookie, by its prefix `__Host-` (RFC 6265bis section 4.1.3.2).
func (c Extractor) HostBound() bool { return c.Cookie == "" || strings.HasPrefix(c.Cookie, "__Host-") }

// Extract returns the credential of a request. The error is a refusal if there is
// none, and if there are two: two parties may choose differently between them.
func (c Extractor) Extract(h http.Header) (Credential, error) {
	if c.Cookie != "" {
		found := c.cookies(h["Cookie"])
		switch {
		case found.all > maxCookies:
			return Credential{}, refuseCredential("the request carries more cookies than servers read")
		case found.occurrences > 1:
			return Credential{}, refuseCredential("the cookie " + c.Cookie + " stands in the request more than once")
		case found.occurrences == 1:
			return c.fromCookie(unquoteCookie(found.value), func() string { return c.Cookie + "=" + found.value }, false)
		case found.found:
			return c.joinChunks(found)
		}
	}
	if lines := h["Authorization"]; c.Bearer && len(lines) > 0 {
		if len(lines) > 1 {
			return Credential{}, refuseCredential("there are two Authorization headers")
		}
		scheme, value, _ := strings.Cut(lines[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Credential{}, refuseCredential("the Authorization header is no Bearer")
		}
		return validate(strings.TrimLeft(value, " "), InBearer)
	}
	return Credential{}, refuseCredential(c.missing(h))
}

// validate returns the credential of a text. A refusal if it is empty, too long, or
// has characters that two parties may read differently (RFC 6265 section 4.1.1,
// without those that have a meaning elsewhere).
func validate(text string, source Source) (Credential, error) {
	switch {
	case text == "":
		return Credential{}, refuseCredential("the session is empty")
	case len(text) > maxCredential:
		return Credential{}, refuseCredential("the session is too long")
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\' {
			return Credential{}, refuseCredential("the session holds characters that none has")
		}
	}
	return Credential{Text: text, Source: source}, nil
}
