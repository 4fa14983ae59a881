// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// wantRefusal fails unless err is a refusal with the code, and the cause if one is given.
func wantRefusal(t *testing.T, err error, code delegation.Code, cause error) *delegation.Refusal {
	t.Helper()
	var r *delegation.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got error %v, want a refusal %s", err, code)
	}
	if r.Code != code {
		t.Fatalf("got %s (%v), want %s", r.Code, errors.Unwrap(r), code)
	}
	if cause != nil && !errors.Is(r, cause) {
		t.Fatalf("got %s because of %q, want %q", r.Code, errors.Unwrap(r), cause)
	}
	return r
}

// A path that servers read in two ways could be judged as one and served as
// the other (T20, T21).
func TestT21_SecondReadingsAreRefused(t *testing.T) {
	for in, rule := range map[string]error{
		"":                          errNotRooted,
		"*":                         errNotRooted,
		"a":                         errNotRooted,
		"http://h/a":                errNotRooted,
		"/a%2fb":                    errSlash,
		"/a%2Fb":                    errSlash,
		"/public/..%2fadmin":        errSlash,
		"/%2e":                      errDot,
		"/%2E%2e/admin":             errDot,
		"/a%2Ejson":                 errDot,
		"/public/.%2e/admin":        errDot,
		"/a%5cb":                    errBackslash,
		"/a%5Cb":                    errBackslash,
		`/a\b`:                      errBackslash,
		`/public\..\admin`:          errBackslash,
		"/..;/admin":                errSemicolon,
		"/a;v=1":                    errSemicolon,
		"/a%3bv":                    errSemicolon,
		"/a%3Bv":                    errSemicolon,
		"/%252e%252e/admin":         errPercent,
		"/100%25":                   errPercent,
		"/a#b":                      errDelimiter,
		"/a%23b":                    errDelimiter,
		"/a?b":                      errDelimiter,
		"/a%3fb":                    errDelimiter,
		"/a%3Fb":                    errDelimiter,
		"/a\x00b":                   errControl,
		"/a\r\nb":                   errControl,
		"/a\tb":                     errControl,
		"/a%00":                     errControl,
		"/a%0d%0aHost:x":            errControl,
		"/a%1F":                     errControl,
		"/a\x7f":                    errControl,
		"/a%7f":                     errControl,
		"/a%C2%85":                  errControl, // next line, U+0085
		"/a%":                       errEscape,
		"/a%4":                      errEscape,
		"/a%zz":                     errEscape,
		"/a%4g":                     errEscape,
		"/a%u002e":                  errEscape,
		"/a%FF":                     errUTF8,
		"/a\xff":                    errUTF8,
		"/%C0%AF":                   errUTF8, // overlong slash
		"/%C0%AE%C0%AE/":            errUTF8, // overlong dots
		"/%E0%80%AF":                errUTF8,
		"/%ED%A0%80":                errUTF8, // surrogate
		"/a%C3/b":                   errUTF8, // a character over a separator
		"/%EF%BC%8E%EF%BC%8E/admin": errFullWidth,
		"/a%EF%BC%8Fb":              errFullWidth,
		"/a／b":                      errFullWidth,
		"/.":                        errDotSegment,
		"/..":                       errDotSegment,
		"/./a":                      errDotSegment,
		"/a/.":                      errDotSegment,
		"/a/./b":                    errDotSegment,
		"/public/../admin":          errDotSegment,
		"/public/..":                errDotSegment,
		"/public//../admin":         errDotSegment,
		"/...":                      errSegmentEnd,
		"/admin.":                   errSegmentEnd,
		"/admin./x":                 errSegmentEnd,
		"/admin%20":                 errSegmentEnd,
		"/admin /x":                 errSegmentEnd,
		"/a/%20/b":                  errSegmentEnd,
		"/(S(abc))/admin":           errCookieless,
		"/a/(A(x)S(y))":             errCookieless,
		"/a/(%53(y))":               errCookieless,
	} {
		t.Run(in, func(t *testing.T) {
			got, err := Canonical(in)
			wantRefusal(t, err, delegation.PathAmbiguous, rule)
			if got != "" {
				t.Errorf("a refused path was returned as %q", got)
			}
		})
	}
}

// Spellings of the same path must be judged as the same path (T22), and what
// is legal must not be refused.
func TestCanonicalSpelling(t *testing.T) {
	for in, want := range map[string]string{
		"/":                            "/",
		"//":                           "/",
		"//a///b//":                    "/a/b/",
		"/a":                           "/a",
		"/a/":                          "/a/",
		"/A/b":                         "/A/b",
		"/%41%7A%30":                   "/Az0",
		"/%2d%5f%7e":                   "/-_~",
		"/api/v1/custom/Asthma.Plan":   "/api/v1/custom/Asthma.Plan",
		"/.well-known/x":               "/.well-known/x",
		"/..a/b..c":                    "/..a/b..c",
		"/$.:,@~'()*!=&x":              "/$.:,@~'()*!=&x",
		"/%24%3a%2C%40%27%28%29%2a%21": "/$:,@'()*!",
		"/%3D%26":                      "/=&",
		"/a+b":                         "/a%2Bb",
		"/a%2bb":                       "/a%2Bb",
		"/a|b":                         "/a%7Cb",
		"/a%7cb":                       "/a%7Cb",
		"/[x]":                         "/%5Bx%5D",
		"/%5bx%5d":                     "/%5Bx%5D",
		"/a%20b":                       "/a%20b",
		"/a b":                         "/a%20b",
		`/"<>^{}` + "`":                "/%22%3C%3E%5E%7B%7D%60",
		"/é":                           "/%C3%A9",
		"/%c3%a9":                      "/%C3%A9",
		"/\U0001F600":                  "/%F0%9F%98%80",
		"/Users('x')":                  "/Users('x')",
		"/(x)/((y))":                   "/(x)/((y))",
		"/(":                           "/(",
	} {
		got, err := Canonical(in)
		if err != nil {
			t.Errorf("Canonical(%q): %v (%v)", in, err, errors.Unwrap(err))
		} else if got != want {
			t.Errorf("Canonical(%q) = %q, want %q", in, got, want)
		}
	}
}

// Nearly every request has a plain path; it must not cost an allocation.
func TestCanonicalOfPlainPathDoesNotAllocate(t *testing.T) {
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := Canonical("/api/v1/delegated/surveyanswers"); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// The path that was judged is the path that is sent: it must be stable, survive
// net/url unchanged and hold nothing that a server would resolve.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		"/", "//a/", "/a%2fb", "/%C3%A9", "/é", "/a+b|c[d]", "/%41", "/..", "/%2e%2e", "/a./b", "/(S(x))/a",
		"/100%25", "/a;b", `/a\b`, "/a%EF%BC%8Fb", "/api/v1/delegated/surveyanswers", "/a%C0%AFb", "/ a", "/*/**",
		"/a\u2044b", "/\u2025/", "/.\u200c.", "/\u00a0", "/a\u3000/b", "/\u212a", "/\u00fc/u\u0308", "/\u65e5\u672c", "/a\u2260b", "/\ufeff..", "/\u037e",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := Canonical(in)
		if err != nil {
			wantRefusal(t, err, delegation.PathAmbiguous, nil)
			return
		}
		if again, err := Canonical(out); err != nil || again != out {
			t.Fatalf("%q became %q, and that %q (%v)", in, out, again, err)
		}
		text, err := url.PathUnescape(out)
		if err != nil || !utf8.ValidString(text) {
			t.Fatalf("%q became %q, which does not decode: %v", in, out, err)
		}
		if u := (&url.URL{Path: text, RawPath: out}); u.EscapedPath() != out {
			t.Fatalf("%q became %q, sent as %q", in, out, u.EscapedPath())
		}
		u, err := url.ParseRequestURI(out)
		if err != nil || u.EscapedPath() != out || u.Path != text || u.RawQuery != "" || u.Host != "" {
			t.Fatalf("%q became %q, read back as %#v (%v)", in, out, u, err)
		}
		// An independent reading of the same: nothing left to resolve or to split on.
		if cleaned := path.Clean(text); cleaned != text && cleaned != strings.TrimSuffix(text, "/") {
			t.Fatalf("%q became %q, which a server would resolve to %q", in, out, cleaned)
		}
		if strings.ContainsAny(text, "\\;#?%\x00\r\n\x7f") || strings.Count(text, "/") != strings.Count(out, "/") {
			t.Fatalf("%q became %q, which has a second reading", in, out)
		}
		checkFolded(t, text)
		if original, err := url.PathUnescape(in); err != nil || strings.ReplaceAll(original, "/", "") != strings.ReplaceAll(text, "/", "") {
			t.Fatalf("%q became %q, which is another text", in, out)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	for name, in := range map[string]string{
		"plain":   "/api/v1/delegated/surveyanswers",
		"doubled": "//api/v1/delegated/surveyanswers",
		"escaped": "/api/v1/delegated/custom/Caf%c3%a9%20one",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Canonical(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
