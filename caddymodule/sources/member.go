// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// maxToken bounds a code or token, in bytes.
const maxToken = 8 << 10

// memberAt returns the member at a path of names with dots between them; for an item of a
// list the name is its number, from 0. A name that
// has dots itself, such as a claim that is an address, is found by its whole. ok is
// false if there is none, or null.
func memberAt(all map[string]any, path string) (value any, ok bool) {
	if value, ok = all[path]; ok {
		return value, value != nil
	}
	name, rest, more := strings.Cut(path, ".")
	value = all[name]
	if !more {
		return value, value != nil
	}
	return memberBelow(value, rest)
}

// memberBelow is [memberAt] for a value that is an object or a list.
func memberBelow(value any, path string) (any, bool) {
	switch value := value.(type) {
	case map[string]any:
		return memberAt(value, path)
	case []any:
		number, rest, more := strings.Cut(path, ".")
		i, err := strconv.Atoi(number)
		switch {
		case err != nil || i < 0 || i >= len(value):
			return nil, false
		case more:
			return memberBelow(value[i], rest)
		default:
			return value[i], value[i] != nil
		}
	default:
		return nil, false
	}
}

// textAt returns a string or number as text. A number is written in full: 1e3 is
// 1000, and no digit of an identifier is lost as in a float.
func textAt(all map[string]any, path string) (text string, ok bool) {
	switch value, _ := memberAt(all, path); value := value.(type) {
	case string:
		return value, true
	case json.Number:
		return oauth.NumberText(value.String())
	default:
		return "", false
	}
}

var errNoJWT = errors.New("it is no JWT")

// jwtClaims returns the claims of a JWT (RFC 7519) that has come from the vendor
// itself, over TLS: its signature proves no more than that (OpenID Connect Core
// section 3.1.3.7).
func jwtClaims(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errNoJWT
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil, errNoJWT
	}
	claims, err := strictjson.Decode(payload)
	if err != nil {
		return nil, errNoJWT
	}
	return claims, nil
}
