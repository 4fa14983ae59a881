// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestErrorPagesHaveTheirOwnPolicy protects error pages of the operator's own:
// whoever refuses, they have the policy that the site gives them, and no other.
func TestErrorPagesHaveTheirOwnPolicy(t *testing.T) {
	const pages = `handle_errors {
		header Content-Type text/html
		%
		respond "<script src=/app.js></script>"
	}`
	for name, c := range map[string]struct {
		site, page string
		want       []string
	}{
		"none":         {"", "", nil},
		"the page's":   {"", `header Content-Security-Policy "script-src 'self'"`, []string{"script-src 'self'"}},
		"of all pages": {`header Content-Security-Policy "img-src 'self'"`, "", []string{"img-src 'self'"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, proxied("", c.site+"\n\t"+strings.Replace(pages, "%", c.page, 1)))
			u := signIn(t, s, "alice")
			s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
				switch r.URL.Path {
				case "/api/v1/delegated/custom/elsewhere":
					w.Header().Set("Location", "https://evil.example/")
					w.WriteHeader(http.StatusFound)
				case "/api/v1/delegated/custom/unauthorized":
					w.WriteHeader(http.StatusUnauthorized)
				case "/api/v1/delegated/custom/away":
					panic(http.ErrAbortHandler)
				default:
					platform.ServeHTTP(w, r)
				}
			})
			for path, status := range map[string]int{"delegated/custom/elsewhere": 502, "delegated/custom/unauthorized": 502, "delegated/custom/away": 502, "none": 403} {
				got := u.get("/mdh/api/v1/" + path)
				if got.StatusCode != status || !strings.Contains(got.body, "app.js") {
					t.Errorf("%s: %d %s", path, got.StatusCode, got.body)
				}
				if got := got.Header["Content-Security-Policy"]; !slices.Equal(got, c.want) {
					t.Errorf("%s: the page has the policy %q, want %q", path, got, c.want)
				}
			}
		})
	}
}
