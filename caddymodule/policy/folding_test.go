// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestFolding protects a route policy from a server that folds characters, or
// trims what is not displayed: it would read another path than was judged.
func TestFolding(t *testing.T) {
	for text, want := range map[string]error{
		"\u2024\u2024":   errFolding, // one dot leaders
		"\u2025":         errFolding, // two dot leader
		"a\u2026":        errFolding, // ellipsis
		"\ufe52\ufe52":   errFolding, // small full stops
		"\uff0e\uff0e":   errFullWidth,
		"a\u2044b":       errFolding, // fraction slash
		"a\u2215b":       errFolding, // division slash
		"a\u29f8b":       errFolding, // big solidus
		"a\uff0fb":       errFullWidth,
		"a\u2100b":       errFolding, // a/c
		"a\u2105b":       errFolding, // c/o
		"\u00bd":         errFolding, // 1/2, with a fraction slash
		"a\ufe68b":       errFolding, // small reverse solidus
		"a\u2216b":       errFolding, // set minus
		"a\u29f5b":       errFolding,
		"a\u00a5b":       errFolding, // yen: code page 932's backslash
		"a\u20a9b":       errFolding, // won: code page 949's
		"a\u037eb":       errFolding, // Greek question mark, canonically ;
		"a\ufe54b":       errFolding, // small semicolon
		"a\ufe14b":       errFolding, // vertical semicolon
		"a\ufe6a2fb":     errFolding, // small percent sign
		"a\u066a2fb":     errFolding, // Arabic percent sign
		"a\ufe56b":       errFolding, // small question mark
		"a\u2047b":       errFolding, // ??
		"a\ufe5fb":       errFolding, // small number sign
		"a\ufe55b":       errFolding, // small colon
		"a\u2236b":       errFolding, // ratio
		"a\ufe6bb":       errFolding, // small @
		"a\ufe60b":       errFolding, // small &
		"a\ufe66b":       errFolding, // small =
		"a\u207cb":       errFolding, // superscript =
		"a\u2260b":       errFolding, // = and a stroke, decomposed
		"\u212aits":      errFolding, // Kelvin sign
		"u\u017fers":     errFolding, // long s
		"pro\ufb01le":    errFolding, // fi
		"\u249c":         errFolding, // (a)
		"\u24d0":         errFolding, // circled a
		"v\u00b2":        errFolding,
		"\U0001d41a":     errFolding, // mathematical a
		"\u00a0":         errTrimming,
		"a\u00a0":        errTrimming,
		"\u00a0a":        errTrimming,
		"a\u2000":        errTrimming,
		"a\u200a":        errTrimming,
		"a\u202f":        errTrimming,
		"a\u205f":        errTrimming,
		"a\u3000":        errTrimming, // ideographic space
		"\u3000a":        errTrimming,
		"a\u1680":        errTrimming,
		"a\u180e":        errTrimming,
		"a\u2800":        errTrimming, // braille blank
		"a\u3164":        errTrimming, // Hangul filler
		"a\u200b":        errTrimming,
		"\u200ba":        errTrimming,
		"a\u200d":        errTrimming,
		"a\u2060":        errTrimming,
		"a\ufeff":        errTrimming,
		"\ufeffa":        errTrimming,
		"..\ufeff":       errTrimming,
		"a\u00ad":        errTrimming, // soft hyphen
		"a\u202e":        errTrimming,
		"\u00b4a":        errTrimming, // a blank and an accent
		".\u00ad.":       errSegmentEnd,
		".\u200c.":       errSegmentEnd,
		".\u2060.":       errSegmentEnd,
		".\ufe0f.":       errSegmentEnd,
		".\ufe0f":        errDotSegment,
		".\ufe0f.\ufe0f": errDotSegment,
		"a.\ufe0f":       errSegmentEnd,
		"(\u200cS(x))":   errCookieless,
		"a\u2028b":       errControl,
		"a\u2029":        errControl,
	} {
		for _, in := range []string{"/api/" + url.PathEscape(text) + "/x", "/api/" + text, "/" + strings.ToLower(url.PathEscape(text)) + "/"} {
			_, err := Canonical(in)
			wantRefusal(t, err, delegation.PathAmbiguous, want)
			wantRefusal(t, CheckTarget(in+"?a=b"), delegation.PathAmbiguous, want)
		}
	}
	// What people are called, and call things.
	for _, text := range []string{
		"\u00fc", "u\u0308", "\u00e9", "e\u0301", "Zo\u00eb", "\u0141\u00f3d\u017a", "stra\u00dfe", "\u0130stanbul", "\u0131l\u0131k", "\u65e5\u672c\u8a9e", "\u4e2d\u6587.json", "\u3042\u30a2",
		"\ud55c\uae00", "\u0645\u0631\u062d\u0628\u0627", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u05e9\u05dc\u05d5\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u03a9\u03bc\u03ad\u03b3\u03b1", "\u041f\u0440\u0438\u0432\u0435\u0442", "\U0001f600", "\u2764\ufe0f",
		"\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "10\u00a0000", "caf\u00e9\u2013bar", "\u00ab\u00bb", "\u3002", "Na\u00efve A.B", "\u0663\u0664", "\u00f8\u00e5\u00e6", "\u1ec7",
	} {
		if got, err := Canonical("/a/" + text); err != nil || got == "" {
			t.Errorf("%+q: %v", text, err)
		}
		if err := CheckFolding(text); err != nil {
			t.Errorf("%+q: %v", text, err)
		}
	}
}

// checkFolded is an independent reading of what was accepted: folded, with what
// is not displayed left out and blanks trimmed, it has the same segments.
func checkFolded(t *testing.T, text string) {
	t.Helper()
	shown := strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, text)
	for _, folded := range []string{norm.NFC.String(text), norm.NFD.String(text), norm.NFKC.String(text), norm.NFKD.String(text), norm.NFKC.String(shown), norm.NFKD.String(shown)} {
		segments := strings.Split(text, "/")
		for i, segment := range strings.Split(folded, "/") {
			trimmed := strings.TrimSpace(segment)
			if i >= len(segments) || (trimmed == "") != (segments[i] == "") || trimmed == "." || trimmed == ".." {
				t.Fatalf("%+q is read as %+q", text, folded)
			}
		}
		if strings.Count(folded, "/") != strings.Count(text, "/") || strings.ContainsAny(folded, "\\;#?%\x00\r\n\x7f") {
			t.Fatalf("%+q is read as %+q", text, folded)
		}
		if cleaned := path.Clean(folded); cleaned != folded && cleaned != strings.TrimSuffix(folded, "/") {
			t.Fatalf("%+q is resolved to %+q", text, cleaned)
		}
	}
}

// FuzzCheckFolding protects participants' identifiers in a path from the same.
func FuzzCheckFolding(f *testing.F) {
	for _, seed := range []string{"a", "\u00e9", ".\u200c.", "\u2025", "a\u00a0", "\u2764\ufe0f", "=\u0338"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, segment string) {
		if CheckFolding(segment) != nil || isASCII(segment) || strings.ContainsFunc(segment, func(r rune) bool { return r < utf8.RuneSelf && !isAlphanumeric(byte(r)) }) {
			return
		}
		if Fold(segment) == "" {
			t.Fatalf("%+q is nothing", segment)
		}
		checkFolded(t, "/x/"+segment)
	})
}
