// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/strictjson"
)

// maxSubject is the length of a user's name, in bytes: more than any has.
const maxSubject = 1024

// claims are the members of a token's payload or of a server's answer, with the types
// of [strictjson.Decode].
type claims map[string]any

// decodeClaims returns the claims of a JSON object. The error quotes nothing of it.
func decodeClaims(text []byte) (claims, error) { return strictjson.Decode(text) }

// readClaim returns the claim at a path by one of the methods of claims. It does
// nothing if *err is set: several claims are read in a row, and the first error stays.
func readClaim[T any](err *error, get func(path string) (T, error), path string) (v T) {
	if *err == nil {
		v, *err = get(path)
	}
	return v
}

// intersects tells whether one of the audiences is among ours.
func intersects(audiences, ours []string) bool {
	return slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(ours, a) })
}

// value returns the claim of a name, or else the one at a path of names, such as
// user.id; nil if there is none. A name may hold dots itself, as URLs do.
func (d claims) value(path string) any {
	if v, ok := d[path]; ok {
		return v
	}
	var v any = map[string]any(d)
	for name := range strings.SplitSeq(path, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// text returns a claim that is a string; "" if there is none. Another type is an
// error.
func (d claims) text(path string) (string, error) {
	switch v := d.value(path).(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", errors.New(path + " is no string")
	}
}

// subject returns a claim that names a user: a string, or the decimal of a whole
// number above 0 as it is written, because databases count their users and a float
// is not exact above 2^53. Each number has one text: one with a fraction, an exponent
// or a sign is an error, as are 0, which systems give to whoever is not signed in,
// and other types.
func (d claims) subject(path string) (string, error) {
	switch v := d.value(path).(type) {
	case nil:
		return "", errors.New(path + " is missing")
	case string:
		switch {
		case v == "":
			return "", errors.New(path + " is missing")
		case len(v) > maxSubject || strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\uFFFD' }):
			return "", errors.New(path + " is no name")
		}
		return v, nil
	case json.Number:
		if s := v.String(); len(s) <= maxSubject && s[0] != '0' && strings.Trim(s, "0123456789") == "" {
			return s, nil
		}
		return "", errors.New(path + " is no whole number above 0")
	default:
		return "", errors.New(path + " is neither a string nor a whole number")
	}
}

// optionalSubject is subject for a claim that may be missing: "".
func (d claims) optionalSubject(path string) (string, error) {
	if v := d.value(path); v == nil || v == "" {
		return "", nil
	}
	return d.subject(path)
}

// time returns a claim that is a NumericDate (RFC 7519 section 2); zero if there is
// none.
func (d claims) time(path string) (time.Time, error) {
	switch v := d.value(path).(type) {
	case nil:
		return time.Time{}, nil
	case json.Number:
		seconds, err := v.Float64()
		if err != nil || seconds < 0 || seconds > 1<<40 {
			return time.Time{}, errors.New(path + " is out of range")
		}
		return time.UnixMilli(int64(seconds * 1000)), nil
	default:
		return time.Time{}, errors.New(path + " is no number")
	}
}

// strings returns a claim that is a string or a list of strings, as `aud` is (RFC
// 7519 section 4.1.3); nil if there is none.
func (d claims) strings(path string) ([]string, error) {
	switch v := d.value(path).(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		all := make([]string, len(v))
		for i := range v {
			var ok bool
			if all[i], ok = v[i].(string); !ok {
				return nil, errors.New(path + " holds what is no string")
			}
		}
		return all, nil
	default:
		return nil, errors.New(path + " is neither string nor list")
	}
}

// formatScalar returns a string, number or bool as text; ok is false for any other.
func formatScalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}
