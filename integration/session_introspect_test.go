// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestC32_BadRequests protects operators from an outage in the log that any
// stranger can make, and users from being signed out where it is one: of an
// answer with status 400, what is about the token is 401 and remembered.
func TestC32_BadRequests(t *testing.T) {
	a := newTold(t, asksIssuer, "any_audience")
	ask := func(session string) answer {
		return a.do(a.with(http.MethodGet, "/who", "Authorization", "Bearer "+session))
	}
	const leak = "canary-of-the-answer"
	codes := []string{"unsupported_token_type", "invalid_token", "invalid_request", "invalid_grant"}
	for _, code := range codes {
		a.says(http.StatusBadRequest, "application/json", `{"error":"`+code+`","error_description":"`+leak+`"}`)
		before := a.asked.Load()
		for range 5 {
			ask("of-a-stranger-"+code).want(t, http.StatusUnauthorized, "session_required")
		}
		if n := a.asked.Load() - before; n != 1 {
			t.Errorf("%s: asked %d times", code, n)
		}
	}
	ours := []struct {
		status int
		body   string
		cause  string
	}{
		{400, `{"error":"invalid_client"}`, "check client_id and client_secret"},
		{401, `{"error":"invalid_client"}`, "check client_id and client_secret"},
		{401, `{"error":"invalid_token"}`, "check client_id and client_secret"},
		{403, ``, "may introspect tokens"},
		{400, `{"error":"` + leak + `"}`, "status 400, application/json"},
		{400, `<html>` + leak, "status 400, application/json"},
	}
	for i, c := range ours {
		a.says(c.status, "application/json", c.body)
		ask(fmt.Sprintf("of-a-user-%d", i)).want(t, http.StatusServiceUnavailable, "session_unavailable")
	}
	all := a.refusals()
	if len(all) != 5*len(codes)+len(ours) {
		t.Fatalf("%q", all)
	}
	for i, line := range all {
		want := "info session_required "
		if i >= 5*len(codes) {
			want = "error session_unavailable "
			if cause := ours[i-5*len(codes)].cause; !strings.Contains(line, cause) {
				t.Errorf("%s does not say %s", line, cause)
			}
		}
		if !strings.HasPrefix(line, want) || strings.Contains(line, leak) {
			t.Errorf("%d: %s", i, line)
		}
	}
}

// TestC34_BackchannelRealm protects who has signed out at the issuer: as the page
// has it, their introspected session ends at once; and an operator whose settings
// do not fit together is told at load.
func TestC34_BackchannelRealm(t *testing.T) {
	const warning = "a back-channel logout belongs to no app_session"
	l := newLogin(t)
	for name, c := range map[string]struct {
		session, logout string
		warned          bool
	}{
		"the same realm":              {"realm " + l.URL, "", false},
		"a realm in both":             {"realm people", "realm people", false},
		"the issuer of the answers":   {"", "", false},
		"the realm is nobody's":       {"realm login.example.org", "", true},
		"the realm of neither":        {"realm people", "realm poeple", true},
		"the realm is in one of them": {"realm people", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			var out atomic.Bool
			s.App.Handle("/introspect", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				iss := ""
				if c.session == "" {
					iss = `"iss":"` + l.URL + `",`
				}
				_, _ = io.WriteString(w, fmt.Sprintf(`{"active":%t,%s"sub":"alice","aud":"app"}`, !out.Load(), iss))
			}))
			caddyfile, file := logged(t, `{`+stack.Options+`
	delegate {`+stack.Provider+`
	}
}
http://127.0.0.1:[[.Port]] {
	handle /who {
		app_session {
			bearer
			introspect http://[[.AppAddr]]/introspect {
				client_id     caddy
				client_secret secret
				audience      app
				cache         10m
			}
			`+c.session+`
		}
		respond "{http.auth.user.id}"
	}
	handle /backchannel {
		delegate_logout {
			`+c.logout+`
			backchannel {
				jwks     `+l.URL+`/jwks
				issuer   `+l.URL+`
				audience app
			}
		}
	}
}
`)
			load(t, s, caddyfile)
			u := signIn(t, s, "alice")
			who := func() answer {
				return u.do(u.with(http.MethodGet, "/who", "Authorization", "Bearer opaque-"+strings.ReplaceAll(name, " ", "-")))
			}
			who().want(t, http.StatusOK, "")
			out.Store(true)
			who().want(t, http.StatusOK, "") // as it was answered a moment ago
			token := l.logoutToken(map[string]any{"sub": "alice"})
			req := u.request(http.MethodPost, "/backchannel", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			u.do(req).want(t, http.StatusOK, "")
			want := http.StatusUnauthorized
			if c.warned {
				want = http.StatusOK
			}
			if got := who(); got.StatusCode != want {
				t.Errorf("after the logout %d, want %d", got.StatusCode, want)
			}
			_, text := lines(t, file, "")
			if got := strings.Count(text, warning); got != map[bool]int{true: 1}[c.warned] {
				t.Errorf("warned %d times", got)
			}
			if c.warned && !strings.Contains(text, l.URL) {
				t.Error("the warning does not name the realm")
			}
		})
	}
}

// TestC34_ReadmeExamplesFit protects who pastes both blocks of the page on sessions: the
// logouts are of the sessions.
func TestC34_ReadmeExamplesFit(t *testing.T) {
	var site string
	for _, heading := range []string{"Introspection", "Back-channel logout"} {
		for _, block := range fenced(productsPage, sections(t)[heading], "caddyfile") {
			site += block.text
		}
	}
	if strings.Count(site, "introspect https://") != 1 || strings.Count(site, "backchannel {") != 1 {
		t.Fatalf("they are not there: %s", site)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	site = strings.ReplaceAll(site, "/run/secrets/introspect", secret)
	for realm, warned := range map[string]int{"realm https://login.example.org": 0, "realm login.example.org": 1} {
		s := newStack(t)
		caddyfile, file := logged(t, `{`+stack.Options+"\n\tdelegate {"+stack.Provider+"\n\t}\n}\nhttp://127.0.0.1:[[.Port]] {\n"+strings.ReplaceAll(site, "realm https://login.example.org", realm)+"}\n")
		load(t, s, caddyfile)
		if _, text := lines(t, file, ""); strings.Count(text, "belongs to no app_session") != warned {
			t.Errorf("%s: %s", realm, text)
		}
	}
}
