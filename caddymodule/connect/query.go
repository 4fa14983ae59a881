// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var (
	errQueryCharacter = errors.New("space, control character or # in the query")
	errQueryEscape    = errors.New("a percent sign in a parameter's name that begins no escape")
)

// maxDecodings is how often a name is decoded. A gateway on the way may decode once
// more than the server behind it does.
const maxDecodings = 3

// dropParameter returns a raw query without the parameters that a server could read
// as one of that name. Each of the others is kept byte for byte. Parameters are what
// "&" divides; where a server divides at ";" as well, one of them holds several.
func dropParameter(raw, name string) (string, error) {
	if raw == "" {
		return "", nil
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c == 0x7f || c == '#' { // some servers end the query there
			return "", delegation.Refuse(delegation.PathAmbiguous, errQueryCharacter)
		}
	}
	name = readAsParameter(name)
	kept := make([]string, 0, 8)
	for parameter := range strings.SplitSeq(raw, "&") {
		drop := false
		for part := range strings.SplitSeq(parameter, ";") {
			key, _, _ := strings.Cut(part, "=")
			decoded, err := url.QueryUnescape(key)
			if err != nil {
				return "", delegation.Refuse(delegation.PathAmbiguous, errQueryEscape)
			}
			for decodings := 1; !drop; decodings++ {
				drop = readAsParameter(key) == name || readAsParameter(decoded) == name
				if key = decoded; decodings == maxDecodings {
					break
				}
				if decoded, err = url.QueryUnescape(key); err != nil || decoded == key {
					break
				}
			}
		}
		if !drop {
			kept = append(kept, parameter)
		}
	}
	return strings.Join(kept, "&"), nil
}

// readAsParameter returns a parameter's name as servers may read it: without case,
// and as PHP does, which takes x.y and "x y" for x_y, and x[] for x, and ends it at
// a zero byte.
func readAsParameter(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, " +"), "\x00")
	if open := strings.IndexByte(name, '['); open > 0 {
		name = name[:open]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ', r == '.', r == '+', r == '[':
			return '_'
		case r == '\u212a': // the Kelvin sign, which folds to k
			return 'k'
		case r == '\u017f': // the long s, which folds to s
			return 's'
		case 'A' <= r && r <= 'Z':
			return r | 0x20
		default:
			return r
		}
	}, name)
}
