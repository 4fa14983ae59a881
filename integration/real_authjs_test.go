// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const authjsCookie = "__Secure-authjs.session-token"

// authjsSession has Auth.js asked. It takes the name of its cookie from the
// scheme that it is asked by. An answer counts for as long as is given.
func (p *product) authjsSession(life string) string {
	return `
			cookie ` + authjsCookie + `
			session_endpoint ` + p.URL + `/api/auth/session {
				subject   user.id
				expires   expires
				header_up X-Forwarded-Proto https
				cache     ` + life + `
			}`
}

// csrf is the token that Auth.js wants in each form.
func (v *visitor) csrf() string {
	v.t.Helper()
	a := v.get("/api/auth/csrf")
	var got struct{ CSRFToken string }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.CSRFToken == "" {
		v.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return got.CSRFToken
}

// pieces are the cookies of the session.
func (v *visitor) pieces() map[string]string {
	v.t.Helper()
	all := make(map[string]string)
	for name, value := range v.cookies() {
		if strings.HasPrefix(name, authjsCookie) {
			all[name] = value
		}
	}
	return all
}

func (v *visitor) authjsSignIn(user string) {
	v.t.Helper()
	a := v.post("/api/auth/callback/credentials", url.Values{"csrfToken": {v.csrf()}, "user": {user}, "password": {"any"}})
	if v.follow(a); len(v.pieces()) == 0 {
		v.t.Fatalf("not signed in: %d %v %s", a.StatusCode, a.Header, a.body)
	}
}

// authjsMail signs in by the link that the app sends.
func (v *visitor) authjsMail(p *product, user string) {
	v.t.Helper()
	a := v.post("/api/auth/signin/email", url.Values{"csrfToken": {v.csrf()}, "email": {user + "@example.org"}})
	link, _ := p.do("sent").(string)
	if v.follow(v.get(link)); len(v.pieces()) != 1 {
		v.t.Fatalf("not signed in: %d %v %s", a.StatusCode, a.Header, a.body)
	}
}

func (v *visitor) authjsSignOut() {
	v.t.Helper()
	a := v.post("/api/auth/signout", url.Values{"csrfToken": {v.csrf()}})
	if v.follow(a); len(v.pieces()) != 0 {
		v.t.Fatalf("not signed out: %d %v %s", a.StatusCode, a.Header, a.body)
	}
}

// TestReal_AuthJS protects users of Auth.js, whose session is an encrypted
// token that the app alone can read: small ones, and those of more than 6 KB
// that come in pieces.
func TestReal_AuthJS(t *testing.T) {
	s, p := newStack(t), newProduct(t, "authjs.mjs", nil)
	load(t, s, behind(p.URL, p.authjsSession("1s"), ""))
	alice, bob, nobody := newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s))
	nobody.refused()
	alice.authjsSignIn("alice")
	alice.want(stack.Alice.ID)
	bob.authjsSignIn("bob")
	bob.want(stack.Bob.ID)

	pieces, whole := bob.pieces(), authjsCookie+"="+alice.pieces()[authjsCookie]
	first, second := authjsCookie+".0="+pieces[authjsCookie+".0"], authjsCookie+".1="+pieces[authjsCookie+".1"]
	if len(pieces) != 2 || len(first)+len(second) < 6000 {
		t.Fatalf("%d cookies of %d bytes: no large session", len(pieces), len(first)+len(second))
	}
	with := func(cookies ...string) []string { return []string{"Cookie", strings.Join(cookies, "; ")} }
	nobody.want(stack.Alice.ID, with(whole)...)
	nobody.want(stack.Bob.ID, with("theme=dark", second, first)...)
	foreign := newVisitor(t, newProduct(t, "authjs.mjs", nil).overTLS())
	foreign.authjsSignIn("alice")
	for name, cookies := range map[string][]string{
		"the first piece alone":      {first},
		"the second piece alone":     {second},
		"a piece twice":              {first, second, second},
		"a piece of another session": {strings.Replace(whole, "=", ".0=", 1), second},
		"cut off":                    {first, second[:len(second)-10]},
		"another app's":              {authjsCookie + "=" + foreign.pieces()[authjsCookie]},
		"its name without TLS":       {strings.TrimPrefix(whole, "__Secure-")},
	} {
		if a := nobody.get(participantPath, with(cookies...)...); a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}

	// A sign-out has the browser forget the token, which is all there is of the
	// session: a copy is worth something at the app, and so here, until it ends.
	alice.authjsSignOut()
	alice.refused()
	if a := nobody.get("/api/auth/session", with(whole)...); !strings.Contains(a.body, `"id":"alice"`) {
		t.Errorf("the app's answer about a copy: %d %s", a.StatusCode, a.body)
	}
	bob.want(stack.Bob.ID)

	p.stop()
	eventually(t, "what the app has answered counts no more", func() bool {
		return bob.get(participantPath).code() == "session_unavailable"
	})
}

// TestReal_AuthJSDatabase protects who has signed out of an app whose Auth.js
// keeps the sessions: no copy of the cookie is worth anything.
func TestReal_AuthJSDatabase(t *testing.T) {
	s, p := newStack(t), newProduct(t, "authjs.mjs", map[string]any{"database": true})
	load(t, s, behind(p.URL, p.authjsSession("1s"), ""))
	alice, copied, nobody := newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s))
	alice.authjsMail(p, "alice")
	alice.want(stack.Alice.ID)
	cookie := []string{"Cookie", authjsCookie + "=" + alice.pieces()[authjsCookie]}
	copied.want(stack.Alice.ID, cookie...)
	nobody.refused()
	nobody.refused("Cookie", authjsCookie+"=00000000-0000-4000-8000-000000000000")
	alice.authjsSignOut()
	alice.refused()
	copied.refusedSoon(cookie...)
}
