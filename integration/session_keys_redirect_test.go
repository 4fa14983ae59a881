// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/ecdsa"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestC11_RedirectsOfKeys protects from keys of another host, and operators from
// having to guess where their issuer has moved.
func TestC11_RedirectsOfKeys(t *testing.T) {
	key, i, other := newECKey(t), newKeyIssuer(t), newKeyIssuer(t)
	set := keySet(t, map[string]*ecdsa.PrivateKey{"k": key}, nil)
	other.publish(set)
	plain := newLogin(t)
	c, file := logged(t, sessionSite(i.settings()))
	s := start(t, c)
	u := signIn(t, s, "alice")
	to := func(status int, location string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				_, _ = w.Write([]byte(set))
				return
			}
			w.Header().Set("Location", location)
			w.WriteHeader(status)
		}
	}
	for _, c := range []struct {
		answer http.HandlerFunc
		want   int
		why    string
	}{
		{to(301, "/keys"), http.StatusOK, ""},
		{to(308, i.URL+"/keys?canary-query=1"), http.StatusOK, ""},
		{to(302, other.URL+"/keys?canary-query=1"), http.StatusServiceUnavailable, "it redirects (status 302) to " + other.URL + ": if that is your issuer's too, write that address as jwks"},
		{to(307, plain.URL+"/keys"), http.StatusServiceUnavailable, "it redirects (status 307) to " + plain.URL},
		{to(302, strings.Replace(i.URL, "https", "http", 1)+"/keys"), http.StatusServiceUnavailable, "to " + strings.Replace(i.URL, "https", "http", 1)},
		{to(302, strings.Replace(i.URL, "https://", "https://user:canary-query@", 1)+"/keys"), http.StatusServiceUnavailable, "it redirects"},
		{to(302, "/jwks"), http.StatusServiceUnavailable, "it redirects more than 3 times"},
		{to(303, ""), http.StatusServiceUnavailable, "to an address that cannot be read"},
		{to(304, "/keys"), http.StatusServiceUnavailable, "status 304"},
	} {
		i.serve(c.answer)
		if err := s.Restart(strings.Replace(sessionSite(i.settings()), "default_bind", "log {\n\t\toutput file "+file+"\n\t}\n\tdefault_bind", 1)); err != nil {
			t.Fatal(err)
		}
		if a := u.as(http.MethodGet, "/who", signed(t, jose.ES256, key, "k", loginClaims("alice"))); a.StatusCode != c.want {
			t.Errorf("%s: %d %s", c.why, a.StatusCode, a.body)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), c.why) {
			t.Errorf("%q is not in the log", c.why)
		}
	}
	if n := other.calls.Load() + plain.calls.Load(); n != 0 {
		t.Errorf("%d calls to other hosts", n)
	}
	if _, text := lines(t, file, "refused"); strings.Contains(text, "canary-query") {
		t.Error("a query is in the log")
	}
}
