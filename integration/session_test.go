// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestAppSession protects the way in for apps with a login of their own, over
// every protocol: who has a session is served as themselves, who has none, one
// of another kind, or two, is not.
func TestAppSession(t *testing.T) {
	l := newLogin(t)
	over(t, l.caddyfile(""), func(t *testing.T, s *stack.Stack, u *user) {
		l.calls.Store(0)
		alice, bob := l.session("alice", nil), l.session("bob", nil)
		for _, headers := range [][]string{
			{"Cookie", "__Host-session=" + alice},
			{"Authorization", "Bearer " + alice},
			{"Cookie", "a=b; __Host-session=" + alice, "Authorization", "Bearer " + bob},
		} {
			a := u.do(u.with(http.MethodGet, participantPath, headers...))
			a.want(t, http.StatusOK, "")
			if !strings.Contains(a.body, stack.Alice.ID) {
				t.Errorf("somebody else: %s", a.body)
			}
		}
		if a := u.do(u.with(http.MethodGet, "/who", "Cookie", "__Host-session="+alice)); a.body != "alice alice@example.org 12345678901234567 " {
			t.Errorf("%q", a.body)
		}
		u.do(u.with(http.MethodPost, "/mdh-token", "Cookie", "__Host-session="+alice)).want(t, http.StatusOK, "")
		before := s.Platform.Counts()
		for name, headers := range map[string][]string{
			"nothing":           nil,
			"another cookie":    {"Cookie", "session=" + alice},
			"twice":             {"Cookie", "__Host-session=" + alice + "; __Host-session=" + alice},
			"empty, and bearer": {"Cookie", "__Host-session=", "Authorization", "Bearer " + alice},
			"forged":            {"Cookie", "__Host-session=" + alice[:len(alice)-10] + strings.Repeat("A", 10)},
			"garbage":           {"Cookie", "__Host-session=garbage"},
			"expired":           {"Cookie", "__Host-session=" + l.session("alice", map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})},
			"another audience":  {"Authorization", "Bearer " + l.session("alice", map[string]any{"aud": "other"})},
			"another issuer":    {"Authorization", "Bearer " + l.session("alice", map[string]any{"iss": "https://evil.example"})},
			"basic":             {"Authorization", "Basic YWxpY2U6cHc="},
		} {
			for _, path := range []string{participantPath, "/who"} {
				a := u.do(u.with(http.MethodGet, path, headers...))
				if a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" || a.Header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%s: %d %s %v", name, a.StatusCode, a.body, a.Header)
				}
			}
		}
		if got := s.Platform.Counts(); got != before {
			t.Errorf("the platform was asked: %+v, before %+v", got, before)
		}
		if n := l.calls.Load(); n > 2 { // one more for what the key had not signed
			t.Errorf("%d calls for the keys", n)
		}
	})
}

// TestAppSessionAcrossSites protects users whose browser adds the session by
// itself. The exemption of a bearer follows what authenticated, not what is
// there: an attacker's page may add the header, and the browser the cookie.
func TestAppSessionAcrossSites(t *testing.T) {
	const trusted = "https://app.example.org"
	l := newLogin(t)
	s := start(t, l.caddyfile("\n\t\ttrusted_origins "+trusted))
	u := signIn(t, s, "alice")
	alice := l.session("alice", nil)
	cookie, bearer := []string{"Cookie", "__Host-session=" + alice}, []string{"Authorization", "Bearer " + alice}
	crossed := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}
	for name, c := range map[string]struct {
		headers []string
		code    string
	}{
		"cookie":                           {append(cookie, crossed...), "cross_origin"},
		"cookie and another's bearer":      {append(append(cookie, "Authorization", "Bearer x"), crossed...), "cross_origin"},
		"cookie, top navigation":           {append(cookie, "Sec-Fetch-Site", "cross-site"), "cross_origin"},
		"cookie, subdomain":                {append(cookie, "Sec-Fetch-Site", "same-site", "Origin", "https://other.example.org"), "cross_origin"},
		"cookie, null":                     {append(cookie, "Origin", "null"), "cross_origin"},
		"cookie, trusted":                  {append(cookie, "Sec-Fetch-Site", "cross-site", "Origin", trusted), ""},
		"cookie, own page":                 {append(cookie, "Sec-Fetch-Site", "same-origin"), ""},
		"bearer":                           {bearer, ""},
		"bearer, and a page that asked us": {append(bearer, crossed...), ""},
	} {
		a := u.do(u.with(http.MethodGet, participantPath, c.headers...))
		if a.code() != c.code || (c.code == "") != (a.StatusCode == http.StatusOK) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	// What a page of a trusted origin is refused, it can read.
	a := u.do(u.with(http.MethodGet, participantPath, "Origin", trusted))
	a.want(t, http.StatusUnauthorized, "session_required")
	if a.Header.Get("Access-Control-Allow-Origin") != trusted {
		t.Errorf("%v", a.Header)
	}
	preflight := func(origin string) answer {
		return u.do(u.with(http.MethodOptions, participantPath, "Origin", origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization"))
	}
	preflight(trusted).want(t, http.StatusNoContent, "")
	preflight("https://evil.example").want(t, http.StatusForbidden, "cross_origin")
}

// TestAppSessionUnavailable protects from letting anybody in while sessions
// cannot be verified, and from signing everybody out by a reload meanwhile.
func TestAppSessionUnavailable(t *testing.T) {
	l := newLogin(t)
	l.down.Store(true)
	s := start(t, l.caddyfile(""))
	u := signIn(t, s, "alice")
	get := func() answer {
		return u.do(u.with(http.MethodGet, participantPath, "Cookie", "__Host-session="+l.session("alice", nil)))
	}
	a := get()
	a.want(t, http.StatusServiceUnavailable, "session_unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Errorf("%v", a.Header)
	}
	if got := s.Platform.Counts(); got.TokenRequests > 0 {
		t.Errorf("%+v", got)
	}

	l = newLogin(t)
	load(t, s, l.caddyfile(""))
	get().want(t, http.StatusOK, "")
	l.down.Store(true)
	load(t, s, l.caddyfile("\n\t\ttrusted_origins https://app.example.org"))
	get().want(t, http.StatusOK, "")
	if n := l.calls.Load(); n != 1 {
		t.Errorf("%d calls for the keys", n)
	}
}

// TestSessionsAreNotMixed protects from the claims of one session with the
// subject of another, or of another authenticator: the participant would be
// somebody else's.
func TestSessionsAreNotMixed(t *testing.T) {
	l := newLogin(t)
	session := func(cookie string) string {
		return `
		app_session {
			cookie   ` + cookie + `
			jwks     ` + l.URL + `/jwks
			issuer   ` + l.URL + `
			audience app
		}`
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("pw"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	byID := strings.Replace(stack.Provider, "participant_identifier", "participant_id {http.auth.user.participant}", 1)
	s := start(t, `{`+stack.Options+`
	delegate {`+byID+`
	}
}
http://127.0.0.1:[[.Port]] {
	route /two/* {
		uri strip_prefix /two`+session("first")+session("second")+`
		delegate_proxy mydatahelps
	}
	route /behind/* {
		uri strip_prefix /behind`+session("first")+`
		basic_auth {
			carol `+string(hash)+`
		}
		delegate_proxy mydatahelps
	}
}
`)
	u := signIn(t, s, "alice")
	of := func(user, participant string) string {
		if participant == "" {
			return l.session(user, nil)
		}
		return l.session(user, map[string]any{"participant": participant})
	}
	const path = "/api/v1/delegated/participant"
	get := func(prefix string, headers ...string) answer {
		return u.do(u.with(http.MethodGet, prefix+path, headers...))
	}
	a := get("/two", "Cookie", "first="+of("bob", stack.Bob.ID)+"; second="+of("alice", stack.Alice.ID))
	a.want(t, http.StatusOK, "")
	if !strings.Contains(a.body, stack.Alice.ID) {
		t.Errorf("alice is %s", a.body)
	}
	get("/two", "Cookie", "first="+of("bob", stack.Bob.ID)+"; second="+of("alice", "")).want(t, http.StatusForbidden, "participant_unknown")
	get("/behind", "Cookie", "first="+of("bob", stack.Bob.ID), "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("carol:pw"))).want(t, http.StatusForbidden, "participant_unknown")
}
