// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"maps"
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestReal_Logout protects who has signed out of an app whose own logout stands
// behind delegate_logout: neither their browser nor a copy of their cookie is
// let in, at once, however long answers about sessions count.
func TestReal_Logout(t *testing.T) {
	number := map[string]string{"alice": aliceNumber, "bob": bobNumber}
	for name, c := range map[string]struct {
		script   string
		settings map[string]any
		session  func(p *product) string
		cookie   string
		path     string
		signIn   func(p *product, s *stack.Stack, v *visitor, user simulator.Participant)
		signOut  func(v *visitor)
	}{
		"express-session": {
			"express.mjs", nil, func(p *product) string { return p.expressSession("/rails/me", "10m", "subject user.id") }, "connect.sid", "/logout",
			func(_ *product, s *stack.Stack, v *visitor, user simulator.Participant) {
				s.Platform.AddParticipant(identified(user, number[user.Identifier]))
				v.expressSignIn(user.Identifier)
			},
			func(v *visitor) { v.post("/logout", nil) },
		},
		"Auth.js": {
			"authjs.mjs",
			map[string]any{"database": true},
			func(p *product) string { return p.authjsSession("10m") }, authjsCookie, "/auth/signout",
			func(p *product, _ *stack.Stack, v *visitor, user simulator.Participant) {
				v.authjsMail(p, user.Identifier)
			},
			(*visitor).authjsSignOut,
		},
		"better-auth": {
			"betterauth.mjs", nil, func(p *product) string { return p.betterAuthSession("10m") }, betterAuthCookie, "/api/auth/sign-out",
			func(_ *product, s *stack.Stack, v *visitor, user simulator.Participant) { v.signUp(s, user) },
			func(v *visitor) { v.postJSON("/api/auth/sign-out", "{}") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			settings := map[string]any{"base": siteOf(s)}
			maps.Copy(settings, c.settings)
			p := newProduct(t, c.script, settings)
			session := c.session(p)
			load(t, s, behind(p.URL, session, `
	@logout {
		method POST
		path   `+c.path+`
	}
	handle @logout {
		app_session {
			optional`+session+`
		}
		delegate_logout
		reverse_proxy `+p.URL+`
	}`))
			alice, bob, copied := newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s))
			c.signIn(p, s, alice, stack.Alice)
			c.signIn(p, s, bob, stack.Bob)
			alice.want(stack.Alice.ID)
			bob.want(stack.Bob.ID)
			cookie := []string{"Cookie", c.cookie + "=" + alice.cookies()[c.cookie]}
			copied.want(stack.Alice.ID, cookie...)
			if a := copied.send(http.MethodPost, c.path, "", append(cookie, "Sec-Fetch-Site", "cross-site")...); a.code() != "cross_origin" {
				t.Errorf("a page of another site signs out: %d %s", a.StatusCode, a.body)
			}
			alice.want(stack.Alice.ID)
			c.signOut(alice)
			alice.refused()
			copied.refused(cookie...)
			bob.want(stack.Bob.ID)
		})
	}
}
