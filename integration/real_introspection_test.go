// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// introspected has the provider asked about each token, for clients or APIs.
func (p *product) introspected(lines string) string {
	return `
			bearer
			introspect ` + p.URL + `/token/introspection {
				client_id     caddy
				client_secret caddy-secret-0123456789
				issuer        ` + p.URL + `
				cache         10m
				` + lines + `
			}`
}

// TestReal_OIDCProviderIntrospection protects users of oidc-provider whose
// access tokens are opaque: those for this API let them in as themselves, and
// nothing else that the provider knows lets anybody in.
func TestReal_OIDCProviderIntrospection(t *testing.T) {
	for name, lines := range map[string]string{
		"by API":    "audience " + opaqueAPI,
		"by client": "audience_claim client_id\naudience app\ntoken_type bearer",
	} {
		t.Run(name, func(t *testing.T) {
			p, caddy := oidcStack(t, nil, func(p *product) string { return p.introspected(lines) })
			alice := p.visitor().signIn("app", "alice", opaqueAPI, "offline_access")
			bob := p.visitor().signIn("app", "bob", opaqueAPI, "")
			caddy.want(stack.Alice.ID, bearer(alice.Access)...)
			caddy.want(stack.Bob.ID, bearer(bob.Access)...)
			caddy.refused()
			other := p.visitor().signIn("other", "alice", "https://other-opaque.example.org", "offline_access")
			for name, token := range map[string]string{
				"ID token":                 alice.ID,
				"refresh token":            alice.Refresh,
				"another client's":         other.Access,
				"another client's refresh": other.Refresh,
				"signed":                   p.visitor().signIn("app", "alice", signedAPI, "").Access,
				"cut off":                  bob.Access[:len(bob.Access)-1],
			} {
				if a := caddy.get(participantPath, bearer(token)...); a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" {
					t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
				}
			}
			own := p.visitor().token("app", url.Values{"grant_type": {"client_credentials"}, "resource": {opaqueAPI}, "scope": {"data:read"}})
			caddy.refused(bearer(own.Access)...)
		})
	}
}

// TestReal_OIDCProviderIntrospectsNoSignedToken protects the provider, and who
// reads the log, from whoever sends signed tokens: about those it says
// unsupported_token_type, which is said of the token and remembered.
func TestReal_OIDCProviderIntrospectsNoSignedToken(t *testing.T) {
	var asked atomic.Int64
	p, caddy := oidcStack(t, nil, func(p *product) string {
		target, err := url.Parse(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		counter := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			asked.Add(1)
			r.SetURL(target)
		}})
		t.Cleanup(counter.Close)
		return strings.Replace(p.introspected("audience "+opaqueAPI), p.URL, counter.URL, 1)
	})
	signed := p.visitor().signIn("app", "alice", signedAPI, "")
	for range 5 {
		caddy.refused(bearer(signed.Access)...)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the provider was asked %d times about one token", n)
	}
	// It is known of that token alone.
	opaque := p.visitor().signIn("app", "alice", opaqueAPI, "")
	caddy.want(stack.Alice.ID, bearer(opaque.Access)...)
}

// TestReal_OIDCProviderIntrospectionSignOut protects who has signed out at the
// provider, however long its answers count here: it tells. With offline_access
// its tokens outlive the session unless it is told to bind them to that.
func TestReal_OIDCProviderIntrospectionSignOut(t *testing.T) {
	for scopes, settings := range map[string]map[string]any{"": nil, "offline_access": {"bound": true}} {
		t.Run("with "+cmp.Or(scopes, "the session"), func(t *testing.T) {
			p, caddy := oidcStack(t, settings, func(p *product) string { return p.introspected("audience " + opaqueAPI) })
			phone, laptop := p.visitor(), p.visitor()
			onPhone, onLaptop := phone.signIn("app", "alice", opaqueAPI, scopes), laptop.signIn("app", "alice", opaqueAPI, scopes)
			for _, token := range []string{onPhone.Access, onLaptop.Access} {
				caddy.want(stack.Alice.ID, bearer(token)...)
			}
			phone.signOut()
			caddy.refused(bearer(onPhone.Access)...)
			caddy.want(stack.Alice.ID, bearer(onLaptop.Access)...)
			again := phone.signIn("app", "alice", opaqueAPI, scopes)
			caddy.want(stack.Alice.ID, bearer(again.Access)...)
		})
	}
}

// TestReal_OIDCProviderRevocation protects whose token a client has revoked
// (RFC 7009), of which the provider tells nobody: for no longer than an answer
// counts.
func TestReal_OIDCProviderRevocation(t *testing.T) {
	p, caddy := oidcStack(t, nil, func(p *product) string {
		return strings.Replace(p.introspected("audience "+opaqueAPI), "10m", "1s", 1)
	})
	alice, bob := p.visitor().signIn("app", "alice", opaqueAPI, ""), p.visitor().signIn("app", "bob", opaqueAPI, "")
	caddy.want(stack.Alice.ID, bearer(alice.Access)...)
	p.visitor().asClient("app", "/token/revocation", url.Values{"token": {alice.Access}})
	caddy.refusedSoon(bearer(alice.Access)...)
	caddy.want(stack.Bob.ID, bearer(bob.Access)...)
}
