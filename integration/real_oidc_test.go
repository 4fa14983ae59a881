// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// Where users of the clients come back to, and the APIs that the provider
// issues access tokens for: see products/oidc.mjs.
const (
	oidcCallback = "https://app.example.org/callback"
	signedAPI    = "https://api.example.org" // its tokens are JSON Web Tokens
	opaqueAPI    = "https://opaque.example.org"
)

// oidcTokens are what a client gets for a user.
type oidcTokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// oidcVisitor is somebody's browser at the provider.
type oidcVisitor struct{ *visitor }

func (p *product) visitor() oidcVisitor {
	p.t.Helper()
	return oidcVisitor{newVisitor(p.t, p.URL)}
}

var action = regexp.MustCompile(`action="([^"]+)"`)

// submit fills in the form of a page, and goes on to the next.
func (v oidcVisitor) submit(page answer, form url.Values) answer {
	v.t.Helper()
	found := action.FindStringSubmatch(page.body)
	if page.StatusCode != http.StatusOK || found == nil {
		v.t.Fatalf("no form: %d %s", page.StatusCode, page.body)
	}
	return v.follow(v.post(found[1], form))
}

// signIn has a user sign in with a client, and the client get tokens for an
// API, or for none, with scopes besides openid and data:read.
func (v oidcVisitor) signIn(client, user, api, scopes string) oidcTokens {
	v.t.Helper()
	const verifier = "a-verifier-of-at-least-forty-three-characters"
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {client}, "response_type": {"code"}, "redirect_uri": {oidcCallback}, "prompt": {"login consent"},
		"scope":          {strings.TrimSpace("openid data:read " + scopes)},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	if api != "" {
		query.Set("resource", api)
	}
	page := v.follow(v.get("/auth?" + query.Encode()))
	page = v.submit(page, url.Values{"prompt": {"login"}, "login": {user}, "password": {"any"}})
	page = v.submit(page, url.Values{"prompt": {"consent"}})
	back, err := url.Parse(page.Header.Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		v.t.Fatalf("no code: %d %s %s", page.StatusCode, page.Header.Get("Location"), page.body)
	}
	return v.token(client, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {oidcCallback}, "code_verifier": {verifier},
	})
}

// asClient has a client's server call the provider.
func (v oidcVisitor) asClient(client, path string, form url.Values) answer {
	v.t.Helper()
	credentials := base64.StdEncoding.EncodeToString([]byte(client + ":" + client + "-secret-0123456789"))
	a := v.send(http.MethodPost, path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Authorization", "Basic "+credentials)
	if a.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
	}
	return a
}

// token is what the token endpoint answers a client with.
func (v oidcVisitor) token(client string, form url.Values) oidcTokens {
	v.t.Helper()
	a := v.asClient(client, "/token", form)
	var got oidcTokens
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Access == "" {
		v.t.Fatalf("%v: %s", err, a.body)
	}
	return got
}

// signOut ends the user's session at the provider.
func (v oidcVisitor) signOut() {
	v.t.Helper()
	page := v.get("/session/end")
	xsrf := regexp.MustCompile(`name="xsrf" value="([^"]+)"`).FindStringSubmatch(page.body)
	if xsrf == nil {
		v.t.Fatalf("%d %s", page.StatusCode, page.body)
	}
	if a := v.submit(page, url.Values{"xsrf": {xsrf[1]}, "logout": {"yes"}}); a.StatusCode != http.StatusOK {
		v.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
}

// oidcSession verifies the provider's JSON Web Tokens.
func (p *product) oidcSession() string {
	return `
			bearer
			jwks     ` + p.URL + `/jwks
			issuer   ` + p.URL + `
			audience ` + signedAPI + `
			type     at+jwt`
}

// backchannel is where the provider tells of logouts.
func (p *product) backchannel(realm string) string {
	return `handle /backchannel-logout {
		delegate_logout {
			` + realm + `
			backchannel {
				jwks     ` + p.URL + `/jwks
				issuer   ` + p.URL + `
				audience app
			}
		}
	}`
}

// oidcStack starts the provider, and a Caddy in front of the platform that it
// tells of logouts. session are the lines of app_session.
func oidcStack(t *testing.T, settings map[string]any, session func(p *product) string) (*product, *visitor) {
	t.Helper()
	s := newStack(t)
	if settings == nil {
		settings = make(map[string]any)
	}
	settings["backchannel"] = s.URL() + "/backchannel-logout"
	p := newProduct(t, "oidc.mjs", settings)
	load(t, s, bearerSite(session(p), p.backchannel("")))
	return p, newVisitor(t, s.URL())
}

// bearerSite is a Caddyfile for an API whose sessions are bearers.
func bearerSite(session, site string) string {
	return caddyfileOf("", `
	handle_path /mdh/* {
		app_session {`+session+`
		}
		delegate_proxy mydatahelps
	}
	`+site)
}

// TestReal_OIDCProviderSigned protects users of oidc-provider whose access
// tokens are JSON Web Tokens (RFC 9068): those let them in as themselves, and
// nothing else that the provider signs lets anybody in.
func TestReal_OIDCProviderSigned(t *testing.T) {
	p, caddy := oidcStack(t, nil, (*product).oidcSession)
	alice := p.visitor().signIn("app", "alice", signedAPI, "offline_access")
	bob := p.visitor().signIn("app", "bob", signedAPI, "")
	caddy.want(stack.Alice.ID, bearer(alice.Access)...)
	caddy.want(stack.Bob.ID, bearer(bob.Access)...)

	caddy.refused()
	stranger := newProduct(t, "oidc.mjs", nil)
	for name, token := range map[string]string{
		"ID token":                    alice.ID,
		"refresh token":               alice.Refresh,
		"another client's, its API's": p.visitor().signIn("other", "alice", "https://other.example.org", "").Access,
		"another provider's":          stranger.visitor().signIn("app", "alice", signedAPI, "").Access,
		"opaque":                      p.visitor().signIn("app", "alice", opaqueAPI, "").Access,
		"for no API":                  p.visitor().signIn("app", "alice", "", "").Access,
		"changed":                     swapped(t, bob.Access, alice.Access),
		"of no algorithm":             unsigned(t, alice.Access),
	} {
		if a := caddy.get(participantPath, bearer(token)...); a.StatusCode != http.StatusUnauthorized || a.code() != "session_required" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	// A client's own token is no user's.
	own := p.visitor().token("app", url.Values{"grant_type": {"client_credentials"}, "resource": {signedAPI}, "scope": {"data:read"}})
	caddy.get(participantPath, bearer(own.Access)...).want(t, http.StatusForbidden, "participant_unknown")

	renewed := p.visitor().token("app", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {alice.Refresh}})
	caddy.want(stack.Alice.ID, bearer(renewed.Access)...)
}

// swapped is a token with the claims of another.
func swapped(t testing.TB, token, claims string) string {
	t.Helper()
	parts, others := strings.Split(token, "."), strings.Split(claims, ".")
	if len(parts) != 3 || len(others) != 3 {
		t.Fatal("no JSON Web Token")
	}
	return parts[0] + "." + others[1] + "." + parts[2]
}

// unsigned is a token whose header says that it needs no signature.
func unsigned(t testing.TB, token string) string {
	t.Helper()
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + strings.Split(swapped(t, token, token), ".")[1] + "."
}

// TestReal_OIDCProviderRotation protects users from being signed out when the
// provider signs by a new key, and by another one when the first is published no more.
func TestReal_OIDCProviderRotation(t *testing.T) {
	p, caddy := oidcStack(t, nil, (*product).oidcSession)
	before := p.visitor().signIn("app", "alice", signedAPI, "")
	caddy.want(stack.Alice.ID, bearer(before.Access)...)
	p.do("rotate")
	after := p.visitor().signIn("app", "bob", signedAPI, "")
	caddy.want(stack.Bob.ID, bearer(after.Access)...)
	caddy.want(stack.Alice.ID, bearer(before.Access)...)
	p.do("rotate")
	p.do("retire")
	again := p.visitor().signIn("app", "alice", signedAPI, "")
	caddy.want(stack.Alice.ID, bearer(again.Access)...)
	caddy.want(stack.Bob.ID, bearer(after.Access)...)
}

// TestReal_OIDCProviderSignOut protects who has signed out at the provider: it
// tells, and their access tokens here are worth nothing from then on. Without
// the session's name in them that is all of the user's.
func TestReal_OIDCProviderSignOut(t *testing.T) {
	p, caddy := oidcStack(t, nil, (*product).oidcSession)
	phone, laptop := p.visitor(), p.visitor()
	onPhone, onLaptop := phone.signIn("app", "alice", signedAPI, ""), laptop.signIn("app", "alice", signedAPI, "")
	bob := p.visitor().signIn("app", "bob", signedAPI, "")
	for _, token := range []string{onPhone.Access, onLaptop.Access} {
		caddy.want(stack.Alice.ID, bearer(token)...)
	}
	caddy.want(stack.Bob.ID, bearer(bob.Access)...)
	phone.signOut()
	caddy.refused(bearer(onPhone.Access)...)
	caddy.refused(bearer(onLaptop.Access)...)
	caddy.want(stack.Bob.ID, bearer(bob.Access)...)
	// A token of the second of the logout may be of before it.
	eventually(t, "Alice can sign in again", func() bool {
		again := p.visitor().signIn("app", "alice", signedAPI, "")
		return caddy.get(participantPath, bearer(again.Access)...).StatusCode == http.StatusOK
	})
}

// TestReal_OIDCProviderSignOutOfOneSession protects who has signed out on one
// device from being signed out on all, where access tokens name their session.
func TestReal_OIDCProviderSignOutOfOneSession(t *testing.T) {
	p, caddy := oidcStack(t, map[string]any{"sid": true}, (*product).oidcSession)
	phone, laptop := p.visitor(), p.visitor()
	onPhone, onLaptop := phone.signIn("app", "alice", signedAPI, ""), laptop.signIn("app", "alice", signedAPI, "")
	for _, token := range []string{onPhone.Access, onLaptop.Access} {
		caddy.want(stack.Alice.ID, bearer(token)...)
	}
	phone.signOut()
	caddy.refused(bearer(onPhone.Access)...)
	caddy.want(stack.Alice.ID, bearer(onLaptop.Access)...)
}
