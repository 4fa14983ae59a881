// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The rules of a path with one reading only: causes of path_ambiguous, for the
// operator's log.
var (
	errNotRooted  = errors.New("the path does not start with a slash")
	errEscape     = errors.New("% is not followed by two hexadecimal digits")
	errSlash      = errors.New("encoded slash (%2F)")
	errDot        = errors.New("encoded dot (%2E)")
	errPercent    = errors.New("encoded percent sign (%25): the path would be decoded twice")
	errBackslash  = errors.New("backslash: some servers read it as a slash")
	errSemicolon  = errors.New("semicolon: some servers cut the segment there")
	errDelimiter  = errors.New("# or ? within the path")
	errControl    = errors.New("control character")
	errUTF8       = errors.New("not UTF-8")
	errFullWidth  = errors.New("full-width form of an ASCII character: some servers fold it")
	errFolding    = errors.New("a character that some servers fold into one of ASCII, such as a fraction slash or a one dot leader")
	errTrimming   = errors.New("a segment begins or ends in a blank or in a character that is not displayed: some servers cut it off")
	errDotSegment = errors.New("dot segment")
	errSegmentEnd = errors.New("a segment ends in a dot or a space: some servers cut it off")
	errCookieless = errors.New("segment of the form (X(...)): ASP.NET cuts it out of the path")
)

func ambiguous(rule error) error {
	return delegation.Refuse(delegation.PathAmbiguous, rule)
}

// The classes of a path's bytes, raw or from an escape.
const (
	classEncode  = iota // sent as an escape, however it was received
	classLiteral        // sent as it is, however it was received
	classRefuse         // refused: it has a second reading
)

// byteClasses are the classes of all bytes. Those of "/", "." and "%" are of the
// encoded bytes; raw ones have a meaning of their own.
var byteClasses = func() (kinds [256]byte) {
	for c := range 0x20 {
		kinds[c] = classRefuse
	}
	for _, c := range []byte("\x7f\\;#?/.%") {
		kinds[c] = classRefuse
	}
	// RFC 3986's pchar. Without "+", which some servers read as a space:
	// %2B has one reading.
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~!$&'()*,=:@") {
		kinds[c] = classLiteral
	}
	return kinds
}()

// Canonical returns the one spelling of an escaped path that is both judged
// and sent upstream. It refuses paths that servers read in more than one way,
// with a [delegation.Refusal] path_ambiguous whose cause says which rule was
// broken.
//
// Refused are, raw or encoded: backslash, semicolon, "#", "?", control
// characters; encoded: slash, dot, percent sign; and escapes that are not
// two hexadecimal digits, decoded text that is not UTF-8, "." and ".."
// segments, segments that end in a dot or a space, the segments (X(...)) that
// ASP.NET cuts out, and what a server that folds characters reads as any of
// these, see [CheckFolding].
//
// Everything else is brought to one spelling, because the other spellings
// mean the same to every server: a run of slashes becomes one; letters,
// digits and - . _ ~ ! $ & ' ( ) * , = : @ are written as they are; all other
// bytes are percent-encoded in upper case. A trailing slash stays: "/a/" is
// not "/a".
func Canonical(escapedPath string) (string, error) {
	if escapedPath == "" || escapedPath[0] != '/' {
		return "", ambiguous(errNotRooted)
	}
	if isCanonical(escapedPath) {
		return escapedPath, nil
	}
	text, err := decode(escapedPath)
	if err != nil {
		return "", ambiguous(err)
	}
	if err := checkText(text); err != nil {
		return "", ambiguous(err)
	}
	return encodePath(text), nil
}

// isCanonical reports whether a path is certainly canonical, which spares nearly
// every request the decoding. It may report false for one that is.
func isCanonical(path string) bool {
	last := byte('x')
	for i := range len(path) {
		c := path[i]
		switch {
		case c == '/':
			if last == '/' || last == '.' {
				return false
			}
		case c == '(' && last == '/':
			return false
		case c != '.' && byteClasses[c] != classLiteral:
			return false
		}
		last = c
	}
	return last != '.'
}

// decode returns the text of an escaped path. Its slashes are separators only, and
// runs of them have become one.
func decode(path string) ([]byte, error) {
	text := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '/':
			if len(text) == 0 || text[len(text)-1] != '/' {
				text = append(text, '/')
			}
			continue
		case c == '.':
			text = append(text, '.')
			continue
		case c == '%':
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return nil, errEscape
			}
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			i += 2
		}
		if byteClasses[c] == classRefuse {
			return nil, errorOfByte(c)
		}
		text = append(text, c)
	}
	return text, nil
}

// errorOfByte returns the rule that a byte of classRefuse breaks.
func errorOfByte(c byte) error {
	switch c {
	case '/':
		return errSlash
	case '.':
		return errDot
	case '%':
		return errPercent
	case '\\':
		return errBackslash
	case ';':
		return errSemicolon
	case '#', '?':
		return errDelimiter
	default:
		return errControl
	}
}

// checkText returns the rule that the text of a decoded path breaks, or nil.
func checkText(text []byte) error {
	if !utf8.Valid(text) {
		return errUTF8
	}
	for segment := range strings.SplitSeq(string(text), "/") {
		if err := checkSegment(segment); err != nil {
			return err
		}
		if strings.ContainsFunc(segment, unicode.IsControl) {
			return errControl
		}
		if err := CheckFolding(segment); err != nil {
			return err
		}
	}
	return nil
}

// checkSegment returns the rule that a segment of a path breaks in ASCII, or nil.
func checkSegment(segment string) error {
	switch n := len(segment); {
	case n == 0:
	case segment == "." || segment == "..":
		return errDotSegment
	case segment[n-1] == '.' || segment[n-1] == ' ':
		return errSegmentEnd
	case n > 3 && segment[0] == '(' && segment[2] == '(' && strings.HasSuffix(segment, "))"):
		return errCookieless
	}
	return nil
}

func encodePath(text []byte) string {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(text)+16)
	for _, c := range text {
		if c == '/' || c == '.' || byteClasses[c] == classLiteral {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
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
