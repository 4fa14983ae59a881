// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
)

// unquoteCookie takes the quotes off a cookie's value (RFC 6265 section 4.1.1).
func unquoteCookie(value string) string {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}

// bearerToken returns the token of a cookie whose value is `Bearer <token>`, as in
// the examples of FastAPI and Litestar: in quotes because of the blank, or with it
// percent-encoded. ok is false for any other value: a session may begin with the
// same letters, but has no blank.
func bearerToken(value string) (token string, ok bool) {
	text := value
	var err error
	switch {
	case hasPrefixFold(value, "bearer%20"), hasPrefixFold(value, "%22bearer%20"):
		text, err = url.PathUnescape(value)
	case hasPrefixFold(value, "bearer+"), hasPrefixFold(value, "%22bearer+"):
		text, err = url.QueryUnescape(value)
	case !hasPrefixFold(value, "bearer "):
		return "", false
	}
	if err != nil {
		return "", false
	}
	text = unquoteCookie(text)
	return strings.TrimLeft(text[min(len("bearer"), len(text)):], " "), true
}

// hasPrefixFold is [strings.HasPrefix] for ASCII letters of either case.
func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

// jsonCookieValue returns the string at a path of the JSON object in a cookie: in
// base64url behind `base64-`, as Supabase's library writes it, or percent-encoded.
func jsonCookieValue(value, path string) (string, error) {
	var text []byte
	if encoded, ok := strings.CutPrefix(value, "base64-"); ok {
		var err error
		if text, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "=")); err != nil {
			return "", errors.New("what stands behind base64- is no base64url")
		}
	} else {
		plain, err := url.PathUnescape(value)
		if err != nil {
			return "", errors.New("it is neither base64- nor percent-encoded")
		}
		text = []byte(plain)
	}
	d, err := decodeClaims(text)
	if err != nil {
		return "", err
	}
	inner, err := d.text(path)
	if err == nil && inner == "" {
		err = errors.New(path + " is missing")
	}
	return inner, err
}
