// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const betterAuthCookie = "__Secure-better-auth.session_token"

// betterAuthSession has better-auth asked. An answer counts for as long as is
// given.
func (p *product) betterAuthSession(life string) string {
	return `
			cookie ` + betterAuthCookie + `
			bearer
			session_endpoint ` + p.URL + `/api/auth/get-session {
				subject user.id
				expires session.expiresAt
				cache   ` + life + `
			}`
}

// postJSON calls better-auth as its client library does.
func (v *visitor) postJSON(to, body string) answer {
	v.t.Helper()
	a := v.send(http.MethodPost, to, body, "Content-Type", "application/json", "Origin", v.origin)
	if a.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: %d %s", to, a.StatusCode, a.body)
	}
	return a
}

// signUp registers a user, whose ID at the app becomes the participant's
// identifier in the stack, if there is one. It returns what the app calls the session's token.
func (v *visitor) signUp(s *stack.Stack, p simulator.Participant) (token string) {
	v.t.Helper()
	a := v.postJSON("/api/auth/sign-up/email", `{"name":"`+p.FirstName+`","email":"`+p.FirstName+`@example.org","password":"a long password"}`)
	var got struct {
		Token string
		User  struct{ ID string }
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.User.ID == "" {
		v.t.Fatalf("%v: %s", err, a.body)
	}
	if s != nil {
		s.Platform.AddParticipant(identified(p, got.User.ID))
	}
	return got.Token
}

// TestReal_BetterAuth protects users of better-auth, whose session the app
// keeps: by its cookie, and by the bearer of its plugin for apps without.
func TestReal_BetterAuth(t *testing.T) {
	s := newStack(t)
	p := newProduct(t, "betterauth.mjs", map[string]any{"base": siteOf(s)})
	load(t, s, behind(p.URL, p.betterAuthSession("1s"), ""))
	alice, bob, nobody := newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s))
	nobody.refused()
	token := alice.signUp(s, stack.Alice)
	alice.want(stack.Alice.ID)
	bob.signUp(s, stack.Bob)
	bob.want(stack.Bob.ID)
	nobody.want(stack.Alice.ID, bearer(token)...)

	foreign := newVisitor(t, newProduct(t, "betterauth.mjs", map[string]any{"base": "https://other.example.org"}).overTLS())
	foreign.origin = "https://other.example.org"
	foreignToken := foreign.signUp(nil, stack.Alice)
	cookie := alice.cookies()[betterAuthCookie]
	for name, headers := range map[string][]string{
		"another app's":        {"Cookie", betterAuthCookie + "=" + foreign.cookies()[betterAuthCookie]},
		"no signature":         {"Cookie", betterAuthCookie + "=" + token},
		"another's signature":  {"Cookie", betterAuthCookie + "=" + token + strings.TrimPrefix(bob.cookies()[betterAuthCookie], strings.Split(bob.cookies()[betterAuthCookie], ".")[0])},
		"its name without TLS": {"Cookie", strings.TrimPrefix(betterAuthCookie, "__Secure-") + "=" + cookie},
		"another app's token":  bearer(foreignToken),
	} {
		if a := nobody.get(participantPath, headers...); a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}

	alice.postJSON("/api/auth/sign-out", "{}")
	alice.refused()
	nobody.refusedSoon("Cookie", betterAuthCookie+"="+cookie)
	nobody.refusedSoon(bearer(token)...)
	bob.want(stack.Bob.ID)
	bob.postJSON("/api/auth/revoke-sessions", "{}")
	bob.refusedSoon()
}

// TestReal_BetterAuthToken protects users of an app that hands them the signed
// tokens of better-auth's plugin: over a rotation of its keys too.
func TestReal_BetterAuthToken(t *testing.T) {
	s := newStack(t)
	p := newProduct(t, "betterauth.mjs", map[string]any{"base": siteOf(s)})
	load(t, s, behind(p.URL, `
			bearer
			jwks     `+p.URL+`/api/auth/jwks
			issuer   `+siteOf(s)+`
			audience `+siteOf(s), ""))
	alice, bob, nobody := newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s))
	session := alice.signUp(s, stack.Alice)
	bob.signUp(s, stack.Bob)
	signed := func(v *visitor) string {
		a := v.get("/api/auth/token")
		var got struct{ Token string }
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Token == "" {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		return got.Token
	}
	first, bobs := signed(alice), signed(bob)
	nobody.want(stack.Alice.ID, bearer(first)...)
	p.do("rotate")
	second := signed(alice)
	nobody.want(stack.Alice.ID, bearer(second)...)
	nobody.want(stack.Bob.ID, bearer(bobs)...)
	nobody.refused()
	for name, token := range map[string]string{
		"the session's token": session,
		"changed":             swapped(t, bobs, second),
		"of no algorithm":     unsigned(t, second),
	} {
		if a := nobody.get(participantPath, bearer(token)...); a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}
