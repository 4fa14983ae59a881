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

func isUnreserved(c byte) bool { return unreserved[c] }

// unreserved are the characters that stay as they are. Each request is signed, and has
// some hundreds.
var unreserved = func() (are [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
		are[c] = true
	}
	return are
}()
