// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// realApp is an app of products/ that the page on sessions has a block for.
type realApp struct {
	heading  string // on the page
	script   string
	settings map[string]any
	cookie   string
	logout   string // path
	signIn   func(p *product, s *stack.Stack, v *visitor, user simulator.Participant)
	signOut  func(v *visitor)
}

var realApps = []realApp{
	{
		heading: "express-session", script: "express.mjs", cookie: "connect.sid", logout: "/logout",
		signIn: func(_ *product, s *stack.Stack, v *visitor, user simulator.Participant) {
			number := map[string]string{"alice": aliceNumber, "bob": bobNumber}[user.Identifier]
			s.Platform.AddParticipant(identified(user, number))
			v.expressSignIn(user.Identifier)
		},
		signOut: func(v *visitor) { v.post("/logout", nil) },
	},
	{
		heading: "Auth.js", script: "authjs.mjs", settings: map[string]any{"database": true}, cookie: authjsCookie, logout: "/api/auth/signout",
		signIn: func(p *product, _ *stack.Stack, v *visitor, user simulator.Participant) {
			v.authjsMail(p, user.Identifier)
		},
		signOut: (*visitor).authjsSignOut,
	},
	{
		heading: "better-auth", script: "betterauth.mjs", cookie: betterAuthCookie, logout: "/api/auth/sign-out",
		signIn:  func(_ *product, s *stack.Stack, v *visitor, user simulator.Participant) { v.signUp(s, user) },
		signOut: func(v *visitor) { v.postJSON("/api/auth/sign-out", "{}") },
	},
}

// fromPage is the block of the page on sessions under a heading, with the
// product's address on this machine.
func (p *product) fromPage(t *testing.T, s *stack.Stack, heading string) string {
	t.Helper()
	i := slices.IndexFunc(loginProducts(), func(p *loginProduct) bool { return p.name == heading })
	blocks := fenced(productsPage, sections(t)[heading], "caddyfile")
	if i < 0 || len(blocks) != 1 {
		t.Fatalf("the page has %d blocks for %s", len(blocks), heading)
	}
	r := &productRun{loginProduct: loginProducts()[i], stack: s, server: &productServer{Server: &httptest.Server{URL: p.URL}}}
	return strings.ReplaceAll(r.local(t, blocks[0].text), "https://login.example.org", p.URL)
}

// TestReal_Page protects whoever pastes a block of the page on sessions for an
// app that they have: it lets in who has signed in to the app, as themselves,
// and neither the browser nor a copy of the cookie of who has signed out.
func TestReal_Page(t *testing.T) {
	for _, app := range realApps {
		t.Run(app.heading, func(t *testing.T) {
			s := newStack(t)
			settings := map[string]any{"base": siteOf(s)}
			maps.Copy(settings, app.settings)
			p := newProduct(t, app.script, settings)
			load(t, s, encrypted(p.fromPage(t, s, app.heading)))
			alice, bob, copied := newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s))
			copied.refused()
			app.signIn(p, s, alice, stack.Alice)
			app.signIn(p, s, bob, stack.Bob)
			alice.want(stack.Alice.ID)
			bob.want(stack.Bob.ID)
			cookie := []string{"Cookie", app.cookie + "=" + alice.cookies()[app.cookie]}
			copied.want(stack.Alice.ID, cookie...)
			if a := copied.send(http.MethodPost, app.logout, "", append(cookie, "Sec-Fetch-Site", "cross-site")...); a.code() != "cross_origin" {
				t.Errorf("a page of another site signs out: %d %s", a.StatusCode, a.body)
			}
			alice.want(stack.Alice.ID)
			app.signOut(alice)
			alice.refused()
			copied.refused(cookie...)
			bob.want(stack.Bob.ID)
		})
	}
}

// TestReal_PageOIDCProvider protects the same of an OpenID provider.
func TestReal_PageOIDCProvider(t *testing.T) {
	s := newStack(t)
	p := newProduct(t, "oidc.mjs", map[string]any{"backchannel": s.URL() + "/backchannel-logout"})
	load(t, s, p.fromPage(t, s, "Other OpenID providers"))
	caddy, phone := newVisitor(t, s.URL()), p.visitor()
	alice, bob := phone.signIn("app", "alice", signedAPI, "offline_access"), p.visitor().signIn("app", "bob", signedAPI, "")
	caddy.want(stack.Alice.ID, bearer(alice.Access)...)
	caddy.want(stack.Bob.ID, bearer(bob.Access)...)
	caddy.refused()
	caddy.refused(bearer(alice.ID)...)
	caddy.refused(bearer(alice.Refresh)...)
	phone.signOut()
	caddy.refused(bearer(alice.Access)...)
	caddy.want(stack.Bob.ID, bearer(bob.Access)...)
	if a := caddy.send(http.MethodPost, "/logout", "", bearer(bob.Access)...); a.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	caddy.refused(bearer(bob.Access)...)
}
