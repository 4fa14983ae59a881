// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A rewrite before us hides how the client spelled the path (T20, T21); the
// target as received is judged by the same rules.
func TestT20_TargetAsReceived(t *testing.T) {
	for in, rule := range map[string]error{
		"/mdh/x":                            nil,
		"/mdh//x/?a=b":                      nil,
		"/":                                 nil,
		"/x?":                               nil,
		"/x?key=a/b&c=%2f%23;d\\e":          nil,
		"/x?/public/":                       nil,
		"/x?y?z":                            nil,
		"http://app.example.org":            nil,
		"http://app.example.org?x":          nil,
		"HTTPS://app.example.org:443/a?b=c": nil,
		"http://[::1]:80/a":                 nil,
		"/mdh/public/../x?y":                errDotSegment,
		"/mdh/%2e%2e/x":                     errDot,
		"/mdh/a%2fb?c":                      errSlash,
		"/mdh#/public":                      errDelimiter,
		"/mdh?x#/public":                    errTargetQuery,
		"/mdh?x y":                          errTargetQuery,
		"/mdh?x\r\ny":                       errTargetQuery,
		"/mdh?x\x7f":                        errTargetQuery,
		"":                                  errTargetForm,
		"*":                                 errTargetForm,
		"?x":                                errTargetForm,
		"app.example.org:443":               errTargetForm,
		"ftp://app.example.org/":            errTargetForm,
		"x?http://h/a":                      errTargetForm,
		"http:///a":                         errTargetHost,
		"http://":                           errTargetHost,
		`http://a\@b/`:                      errTargetHost,
		"http://user@app.example.org/":      errTargetHost,
		"http://a#b/c":                      errTargetHost,
		"http://app.example.org/../x":       errDotSegment,
	} {
		t.Run(in, func(t *testing.T) {
			err := CheckTarget(in)
			if rule != nil {
				wantRefusal(t, err, delegation.PathAmbiguous, rule)
			} else if err != nil {
				t.Errorf("refused: %v", errors.Unwrap(err))
			}
		})
	}
}

// Whatever Target lets pass must parse the way net/http parses it, and the
// path found there must pass as well: the two judgements may not disagree.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"/mdh/x?y", "*", "http://h/a?b#c", `http://a\@b/`, "//h/a", "/a#b", "/a?b c", "http://h?x", "h:443", "https://[::1]:8/é",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		err := CheckTarget(in)
		if err != nil {
			wantRefusal(t, err, delegation.PathAmbiguous, nil)
			return
		}
		u, err := url.ParseRequestURI(in)
		if err != nil {
			return // net/http answers 400 before any handler
		}
		p := u.EscapedPath()
		if p == "" {
			p = "/"
		}
		if _, err := Canonical(p); err != nil {
			t.Fatalf("target %q passed, its path %q did not: %v", in, p, errors.Unwrap(err))
		}
		if strings.Contains(u.RawQuery, "#") || u.Fragment != "" || u.User != nil {
			t.Fatalf("target %q passed with %#v", in, u)
		}
	})
}
