// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns a text as servers and file systems read it that fold characters:
// with compatibility characters replaced (NFKC, UAX #15), and without those that
// are not displayed, which some of them ignore (UTS #39, HFS+).
func Fold(text string) string {
	if isASCII(text) {
		return text
	}
	return norm.NFKC.String(strings.Map(func(r rune) rune {
		if isIgnorable(r) {
			return -1
		}
		return r
	}, text))
}

// CheckFolding returns an error for a path segment that has another structure for a
// server that folds characters: with a character that becomes "/", ".", "%" or
// any other one of ASCII (NFKC, or what Windows calls best fit), or with a blank
// or an undisplayed character at an end, which is trimmed. Letters of any script,
// composed (é) or not (e and an accent), have one reading.
func CheckFolding(segment string) error {
	if isASCII(segment) {
		return nil
	}
	for _, r := range segment {
		switch {
		case r < utf8.RuneSelf:
		case '\uff01' <= r && r <= '\uff5e':
			return errFullWidth
		case foldsToASCII(r):
			return errFolding
		case r == '\u2028' || r == '\u2029' || r == utf8.RuneError:
			return errControl
		}
	}
	first, _ := utf8.DecodeRuneInString(segment)
	// What chooses how the one before it looks may stand at the end: ❤️ has it.
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(segment, "\ufe0e\ufe0f"))
	if isTrimmed(first) || isTrimmed(last) {
		return errTrimming
	}
	return checkSegment(Fold(segment))
}

// foldsToASCII reports whether a character outside of ASCII is read as one within.
// A letter that is composed of another and an accent is not.
func foldsToASCII(r rune) bool {
	if strings.ContainsRune(bestFit, r) {
		return true
	}
	var buf [utf8.UTFMax]byte
	text := buf[:utf8.EncodeRune(buf[:], r)]
	for _, c := range norm.NFKC.Bytes(text) {
		if c < utf8.RuneSelf && c != ' ' {
			return true
		}
	}
	for _, c := range norm.NFKD.Bytes(text) { // ≠ is = and a stroke
		if c < utf8.RuneSelf && c != ' ' && !isAlphanumeric(c) {
			return true
		}
	}
	return false
}

// bestFit are characters that Unicode does not fold into ASCII, but code pages into
// one that matters in a URL: slashes, backslashes
// (¥ and ₩ stand in its place in code pages 932 and 949), percent signs, colons
// and a semicolon.
const bestFit = "\u2044\u2215\u29f8\u2571" + "\u2216\u29f5\u29f9\u2572\u00a5\u20a9" + "\u066a\u2052" + "\u2236\u0589\u05c3\ua789" + "\u204f"

// isTrimmed reports whether some server cuts a character off at the end of a segment.
func isTrimmed(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return false // see checkSegment
	case strings.ContainsRune("\u2800\u3164\u115f\u1160\uffa0", r):
		return true // blank, and letters or symbols for Unicode
	default:
		return unicode.IsSpace(r) || isIgnorable(r) || strings.HasPrefix(norm.NFKD.String(string(r)), " ")
	}
}

// isIgnorable reports whether a character is not displayed and may be left out
// (Default_Ignorable_Code_Point, and format characters).
func isIgnorable(r rune) bool {
	return r >= utf8.RuneSelf && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
