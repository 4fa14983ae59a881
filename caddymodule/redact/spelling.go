// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"bytes"
	"html"
	"strconv"
	"strings"
)

// lineBreaks are what a program that wraps long lines writes between two
// characters: as it is, in JSON, and in HTML.
var lineBreaks = [...]string{"\r\n", "\n", "\r", `\r\n`, `\n`, `\r`, "<br>", "<br/>", "<br />", "<wbr>"}

// startsLineBreak reports whether a line break may start with c, and no escape
// does.
func startsLineBreak(c byte) bool { return c == '\r' || c == '\n' || c == '<' }

// maxIndent is the most characters that the line after a break may be indented
// by.
const maxIndent = 32

// lineBreak returns the length of the line break that p starts with, and of the
// indentation after it; 0 if there is none. open reports that p is too short to
// tell.
func lineBreak(p []byte) (n int, open bool) {
	if len(p) == 0 || !startsLineBreak(p[0]) && p[0] != '\\' {
		return 0, false
	}
	for _, b := range lineBreaks {
		if n == 0 && bytes.HasPrefix(p, []byte(b)) {
			n = len(b)
		}
		open = open || len(p) < len(b) && b[:len(p)] == string(p)
	}
	if n > 0 && p[0] == '<' && n < len(p) && p[n] != '<' {
		more, cut := lineBreak(p[n:])
		n, open = n+more, open || cut
	}
	for end := n + maxIndent; n > 0 && n < min(len(p), end) && (p[n] == ' ' || p[n] == '\t'); {
		n++
	}
	return n, open
}

// The bounds of one character's spelling. They bound how much is held back.
const (
	maxEscapes   = 4  // %2525…
	maxSlashes   = 8  // \\\\…
	maxReference = 12 // &…;
)

// decodedChar is a character that a text may start with, and the number of
// bytes of its spelling there.
type decodedChar struct {
	c byte
	n int
}

// startsEscape reports whether an escape may start with c.
func startsEscape(c byte) bool { return c == '%' || c == '&' || c == '\\' }

// decodeChar appends the characters that p may start with, as it is and
// unescaped. open reports that p is too short to tell.
func decodeChar(p []byte, to []decodedChar) ([]decodedChar, bool) {
	if len(p) == 0 {
		return to, true
	}
	to = append(to, decodedChar{p[0], 1})
	switch p[0] {
	case '%':
		return decodePercent(p, to)
	case '&':
		return decodeReference(p, to)
	case '\\':
		return decodeBackslash(p, to)
	default:
		return to, false
	}
}

// decodePercent appends the percent-encoded characters that p may start with
// (RFC 3986 section 2.1), encoded up to maxEscapes times.
func decodePercent(p []byte, to []decodedChar) ([]decodedChar, bool) {
	for k := 1; k < 1+2*maxEscapes; k += 2 {
		b, ok, open := hexByte(p[k:], 2)
		if !ok {
			return to, open
		}
		to = append(to, decodedChar{b, k + 2})
		if b != '%' {
			break
		}
	}
	return to, false
}

// decodeReference appends the character of the HTML character reference that p
// may start with.
func decodeReference(p []byte, to []decodedChar) ([]decodedChar, bool) {
	for k := 1; k < len(p); k++ {
		switch {
		case p[k] == ';':
			if text := html.UnescapeString(string(p[:k+1])); len(text) == 1 {
				to = append(to, decodedChar{text[0], k + 1})
			}
			return to, false
		case k == maxReference || p[k] != '#' && !alphanumeric(p[k]):
			return to, false
		}
	}
	return to, true
}

// decodeBackslash appends the characters that p may start with as an escape of
// JSON, JavaScript or Python, whose backslashes may be doubled.
func decodeBackslash(p []byte, to []decodedChar) ([]decodedChar, bool) {
	k := 1
	for k < len(p) && k < maxSlashes && p[k] == '\\' {
		k++
		to = append(to, decodedChar{'\\', k})
	}
	if k == len(p) {
		return to, true
	}
	open := false
	if digits := map[byte]int{'u': 4, 'U': 8, 'x': 2}[p[k]]; digits > 0 {
		var b byte
		var ok bool
		if b, ok, open = hexByte(p[k+1:], digits); ok {
			to = append(to, decodedChar{b, k + 1 + digits})
		}
	}
	return append(to, decodedChar{p[k], k + 1}), open
}

// hexByte reads a number of so many hexadecimal digits, which is a character if
// it is at most 255. open reports that p is too short to tell.
func hexByte(p []byte, digits int) (b byte, ok, open bool) {
	text := string(p[:min(len(p), digits)])
	if strings.Trim(text, "0123456789abcdefABCDEF") != "" {
		return 0, false, false
	}
	if len(text) < digits {
		return 0, false, true
	}
	v, err := strconv.ParseUint(text, 16, 8)
	return byte(v), err == nil, false
}

// alphanumeric reports whether c is an ASCII letter or digit.
func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
