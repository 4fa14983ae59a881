// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestRd_OwnAnswersHaveOneWriter protects what this server answers by itself,
// tokens and links of a consent among it: no answer is sniffed for another
// type, kept, loaded by other origins or shown as a page.
func TestRd_OwnAnswersHaveOneWriter(t *testing.T) {
	check := func(what string, a answer, status int) {
		t.Helper()
		if a.StatusCode != status {
			t.Fatalf("%s: %d %s", what, a.StatusCode, a.body)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
			"Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
		} {
			if status == http.StatusNoContent && name == "Content-Security-Policy" {
				continue
			}
			if values := a.Header[name]; len(values) != 1 || values[0] != want {
				t.Errorf("%s: %s: %q, want %q", what, name, values, want)
			}
		}
	}
	s := start(t, stack.Caddyfile)
	u := signIn(t, s, "alice")
	check("a token", u.do(u.request(http.MethodPost, "/mdh-token", nil)), http.StatusOK)
	check("a refusal", u.get("/mdh/api/v1/administration/x"), http.StatusForbidden)
	s.Intercept(func(w http.ResponseWriter, r *http.Request, platform http.Handler) {
		w.WriteHeader(http.StatusUnauthorized)
	})
	check("a refusal on the wire", u.get("/mdh/api/v1/delegated/externalaccountproviders/1/logo"), http.StatusBadGateway)
	s.Close()

	c := startMydex(t, "", "")
	alice := c.browser("alice")
	check("the beginning of a journey", alice.do(http.MethodPost, "/connect/mydex/start", ""), http.StatusOK)
	check("its status", alice.do(http.MethodGet, "/connect/mydex/status", ""), http.StatusOK)
	check("an unknown path", alice.do(http.MethodGet, "/connect/mydex/x", ""), http.StatusForbidden)
	check("its end", alice.do(http.MethodDelete, "/connect/mydex/", ""), http.StatusNoContent)
}
