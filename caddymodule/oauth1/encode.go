// SPDX-License-Identifier: Apache-2.0

package oauth1

import "strings"

const hexDigits = "0123456789ABCDEF"

// encode returns a text percent-encoded by RFC 5849 section 3.6: all but letters,
// digits, "-", ".", "_" and "~", in upper case. [net/url.QueryEscape] makes a space
// a "+", which no vendor would make of it.
func encode(text string) string {
	escaped := 0
	for i := range len(text) {
		if !isUnreserved(text[i]) {
			escaped++
		}
	}
	if escaped == 0 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + 2*escaped)
	for i := range len(text) {
		c := text[i]
		if isUnreserved(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return c == '-' || c == '.' || c == '_' || c == '~'
	}
}
