// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"strings"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// reservedNames are the names of query parameters that no client gets to the
// platform.
var reservedNames = [...]string{
	"uid", "con_id", "key", "source_type",
	// The platform's older credential, the header of the other style, and the
	// bearer in the query (RFC 6750 section 2.3).
	"api_key", "connection_token", "access_token",
	// They would have another path or method served than was judged: Drupal
	// takes the path from q where there is one, and many PHP frameworks the
	// method from _method.
	"q", "_method",
}

// isReserved compares a name with the reserved ones.
func isReserved(name string) bool {
	for _, o := range reservedNames {
		// With Unicode's folding, for which the Kelvin sign is a k too.
		if strings.EqualFold(name, o) {
			return true
		}
	}
	return false
}

// maxDecodings is how often a name is decoded. A gateway on the way may decode once
// more than the server behind it does.
const maxDecodings = 3

// mayReadAsReserved reports whether a server could read a parameter's name, as it
// stands in a raw query, as a reserved one. In doubt it does: a parameter too few
// is an error that the frontend sees, one too many is somebody else's data.
//
// A name with a malformed escape, or whose text is not UTF-8, is in doubt, as every
// server reads it its own way; so is one that is still escaped after three rounds.
// A name is judged as it is, and as it is where characters are folded (full-width
// letters, a soft hyphen within).
func mayReadAsReserved(name string) bool {
	if isPlain(name) {
		return isReserved(name)
	}
	for round := range maxDecodings {
		if decodedReadsAsReserved(name) || decodedReadsAsReserved(policy.Fold(name)) {
			return true
		}
		text, ok := unescape(name)
		switch {
		case !ok && round == 0:
			return true
		case text == name:
			return !utf8.ValidString(text)
		}
		name = text
	}
	return true
}

// isPlain tells whether a name has one reading only.
func isPlain(name string) bool {
	for _, c := range []byte(name) {
		if !isAlphanumeric(c) && c != '_' {
			return false
		}
	}
	return true
}

// decodedReadsAsReserved judges a decoded name by what PHP makes of it
// (php_register_variable_ex in main/php_variables.c), and by a little more:
//
//   - leading spaces are ignored; here any blanks, on both sides;
//   - NUL ends the name;
//   - dots and spaces become "_"; here everything but letters and digits does;
//   - "[" begins an index, and the name ends before it; without a "]" it
//     becomes "_" instead, and the name goes on. Here both are tried, whether
//     there is a "]" or not: con[id is con_id, and uid[x is uid;
//   - a leading "[" is ignored, as some parsers do that know no PHP;
//   - names are compared without case;
//   - what an encoded separator divides is judged piece by piece.
func decodedReadsAsReserved(name string) bool {
	for piece := range strings.FieldsFuncSeq(name, isSeparator) {
		piece, _, _ = strings.Cut(piece, "=")
		piece, _, _ = strings.Cut(strings.TrimLeftFunc(piece, isBlank), "\x00")
		piece = strings.TrimLeft(piece, "[")
		if isReserved(foldName(piece)) {
			return true
		}
		if end := strings.IndexAny(piece, "[]"); end >= 0 && isReserved(foldName(piece[:end])) {
			return true
		}
	}
	return false
}

func isSeparator(r rune) bool { return r == '&' || r == ';' }

func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }

func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' {
			return r
		}
		return '_'
	}, strings.TrimFunc(name, isBlank))
}

// unescape decodes the escapes and plus signs of a name. With a malformed escape,
// which stays as it is, ok is false.
func unescape(s string) (text string, ok bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	ok = true
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			out = append(out, ' ')
		case c != '%':
			out = append(out, c)
		case i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out, ok = append(out, c), false
		}
	}
	return string(out), ok
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
