// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sessionVerdict runs `caddy delegate session` on a credential, and returns what it prints.
func sessionVerdict(t *testing.T, config, credential string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(file, []byte(credential), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "session", "--config", config, "--adapter", "caddyfile", "--file", file)
	if err == nil {
		t.Errorf("it is said to be a session:\n%s", out)
	}
	return out
}

// TestBroken_IssuerSlash: the settings name the issuer without the slash that its
// tokens have. Its keys can be fetched, and every session is refused.
func TestBroken_IssuerSlash(t *testing.T) {
	l := newLogin(t)
	mux := http.NewServeMux()
	mux.Handle("/jwks", l)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"issuer":"http://%[1]s/","jwks_uri":"http://%[1]s/jwks"}`, r.Host)
	})
	issuer := httptest.NewServer(mux)
	t.Cleanup(issuer.Close)
	caddyfile, file := logged(t, strings.ReplaceAll(l.caddyfile(""), l.URL, issuer.URL))
	s := start(t, caddyfile)
	u := signIn(t, s, "alice")
	ask := func(iss string) {
		t.Helper()
		req := u.request(http.MethodGet, participantPath, nil)
		req.Header.Set("Authorization", "Bearer "+l.session("alice", map[string]any{"iss": iss}))
		u.do(req).want(t, http.StatusUnauthorized, "session_required")
	}
	ask("https://planted.example")
	ask(issuer.URL + "/")
	contains(t, checks(t, s, caddyfile, false), "✗ app_session        jwks "+issuer.URL+"/jwks: the issuer calls itself "+issuer.URL+"/, and `issuer` says "+issuer.URL+": they have to agree to the last slash")
	cause, _ := refusedCause(t, file)
	if want := "JWT: iss is another issuer by the slash at its end alone, and they have to agree to the last slash"; cause != want {
		t.Errorf("%q, want %q", cause, want)
	}
	refused, text := lines(t, file, "refused")
	if refused[0]["cause"] != "JWT: iss is another issuer" {
		t.Errorf("%v", refused[0])
	}
	lacks(t, text, "planted")
	checks(t, s, strings.ReplaceAll(caddyfile, "issuer   "+issuer.URL, "issuer   "+issuer.URL+"/"), true)
}

// TestBroken_CookieName: the app sets the cookie with a browser's prefix, and the
// settings name it without. Nothing else of what a browser sends is named.
func TestBroken_CookieName(t *testing.T) {
	l := newLogin(t)
	for _, c := range []struct{ configured, sent, header, want string }{
		{"session", "__Host-session", "", "the request carries no session: it has cookies, and none is session, but one is __Host-session: write the name that the app sets in `cookie`"},
		{"__Host-session", "__Secure-Session.0", "", "the request carries no session: it has cookies, and none is __Host-session, but one is __Secure-Session: write the name that the app sets in `cookie`"},
		{"__Host-session", "other", "", "the request carries no session: it has cookies, and none is __Host-session: compare `cookie` with the name that the app sets"},
		{"__Host-session", "", "Bearer planted", "the request carries no session; it has the header Authorization, and `bearer` is not set"},
		{"__Host-session", "", "", "the request carries no session"},
	} {
		t.Run(c.configured+" "+c.sent+c.header, func(t *testing.T) {
			caddyfile, file := logged(t, strings.NewReplacer("cookie   __Host-session", "cookie   "+c.configured, "\t\tbearer\n", "").Replace(l.caddyfile("")))
			s := start(t, caddyfile)
			u := signIn(t, s, "alice")
			req := u.request(http.MethodGet, participantPath, nil)
			req.Header.Del("Cookie")
			credential := "Authorization: Bearer planted"
			if c.sent != "" {
				credential = "Cookie: theme=planted; " + c.sent + "=" + l.session("alice", nil)
				req.Header.Set("Cookie", strings.TrimPrefix(credential, "Cookie: "))
			}
			if c.header != "" {
				req.Header.Set("Authorization", c.header)
			}
			u.do(req).want(t, http.StatusUnauthorized, "session_required")
			if c.sent != "" {
				text, err := s.Render(caddyfile)
				if err != nil {
					t.Fatal(err)
				}
				config := filepath.Join(s.Dir, "Caddyfile")
				if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				contains(t, sessionVerdict(t, config, credential), "✗ credential         session_required: "+c.want)
			}
			cause, _ := refusedCause(t, file)
			if cause != c.want {
				t.Errorf("%q, want %q", cause, c.want)
			}
			_, text := lines(t, file, "refused")
			lacks(t, text, "planted", "theme")
		})
	}
}
