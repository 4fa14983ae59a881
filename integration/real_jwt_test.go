// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestReal_OIDCProviderByClient protects users of an issuer whose API takes
// tokens of several clients: those of one client are sessions here, and another
// client's for the same API are none.
func TestReal_OIDCProviderByClient(t *testing.T) {
	p, caddy := oidcStack(t, nil, func(p *product) string {
		return strings.Replace(p.oidcSession(), signedAPI, "app", 1) + `
			audience_claim client_id`
	})
	alice := p.visitor().signIn("app", "alice", signedAPI, "offline_access")
	caddy.want(stack.Alice.ID, bearer(alice.Access)...)
	caddy.refused()
	for name, token := range map[string]string{
		"another client's": p.visitor().signIn("other", "alice", signedAPI, "").Access,
		"ID token":         alice.ID, // its aud is the client
		"refresh token":    alice.Refresh,
		"of no algorithm":  unsigned(t, alice.Access),
	} {
		if a := caddy.get(participantPath, bearer(token)...); a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	caddy.want(stack.Alice.ID, bearer(alice.Access)...)
}

// TestReal_OIDCProviderKeyReplaced protects users from an operator who replaces
// the provider's key and keeps its name: they go on once they have new tokens.
func TestReal_OIDCProviderKeyReplaced(t *testing.T) {
	p, caddy := oidcStack(t, nil, (*product).oidcSession)
	before := p.visitor().signIn("app", "alice", signedAPI, "")
	caddy.want(stack.Alice.ID, bearer(before.Access)...)
	unseen := p.visitor().signIn("app", "bob", signedAPI, "")
	p.do("replace")
	after := p.visitor().signIn("app", "bob", signedAPI, "")
	caddy.want(stack.Bob.ID, bearer(after.Access)...)
	caddy.refusedSoon(bearer(unseen.Access)...) // by a key that is published no more
	caddy.want(stack.Bob.ID, bearer(after.Access)...)
}

// TestReal_BetterAuthCookieCache protects users of better-auth whose session is
// told by a cookie that the app signs with its own secret: verified here without
// asking, by the user in it, though it names neither issuer nor audience.
func TestReal_BetterAuthCookieCache(t *testing.T) {
	const name = "__Secure-better-auth.session_data"
	secret := rand.Text() + rand.Text()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStack(t)
	p := newProduct(t, "betterauth.mjs", map[string]any{"base": siteOf(s), "secret": secret})
	load(t, s, behind(p.URL, `
			cookie        `+name+`
			hmac_secret   {file.`+file+`}
			subject_claim user.id
			realm         app`, ""))
	alice, bob, nobody := newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s)), newVisitor(t, siteOf(s))
	nobody.refused()
	alice.signUp(s, stack.Alice)
	alice.want(stack.Alice.ID)
	bob.signUp(s, stack.Bob)
	bob.want(stack.Bob.ID)
	foreign := newVisitor(t, newProduct(t, "betterauth.mjs", map[string]any{"base": "https://other.example.org", "secret": rand.Text() + rand.Text()}).overTLS())
	foreign.origin = "https://other.example.org"
	foreign.signUp(nil, stack.Alice)
	cookie := alice.cookies()[name]
	for what, value := range map[string]string{
		"another app's":         foreign.cookies()[name],
		"changed":               swapped(t, bob.cookies()[name], cookie),
		"of no algorithm":       unsigned(t, cookie),
		"the session's token":   alice.cookies()[betterAuthCookie],
		"without its signature": cookie[:strings.LastIndex(cookie, ".")+1],
	} {
		if a := nobody.get(participantPath, "Cookie", name+"="+value); a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	alice.postJSON("/api/auth/sign-out", "{}")
	alice.refused()
	bob.want(stack.Bob.ID)
}
