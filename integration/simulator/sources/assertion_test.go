// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"net/http"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Client assertions must be good by all that RFC 7523 and SMART ask of them, and
// once.
func TestAssertion(t *testing.T) {
	ec, err1 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rs, err2 := rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	v := newVendor(t, "smart")
	v.clients = append(v.clients, Client{ID: "keyed", Keys: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &ec.PublicKey, KeyID: "ec"}, {Key: &rs.PublicKey, KeyID: "rs"},
	}}})
	signed := func(way jose.SignatureAlgorithm, kid string, key any, changes map[string]any) string {
		claims := map[string]any{
			"iss": "keyed", "sub": "keyed", "aud": v.base + "/auth/token", "exp": v.now.Unix() + 300, "jti": secret(""),
		}
		maps.Copy(claims, changes)
		return signJWT(jose.SigningKey{Algorithm: way, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, claims)
	}
	send := func(assertion string, changes ...string) string {
		t.Helper()
		form := url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_assertion_type": {assertionType}, "client_assertion": {assertion},
		}
		r := v.send(http.MethodPost, "/auth/token", change(form, changes).Encode(), "Content-Type: application/x-www-form-urlencoded")
		return r.text("error")
	}
	const good = "invalid_grant" // the client is known, and its refresh token is not
	if got := send(signed(jose.ES384, "ec", ec, nil), "client_id=keyed"); got != good {
		t.Errorf("ES384: %s", got)
	}
	once := signed(jose.RS384, "rs", rs, nil)
	if got := send(once); got != good {
		t.Errorf("RS384: %s", got)
	}
	for name, got := range map[string]string{
		"again":              send(once),
		"another algorithm":  send(signed(jose.RS256, "rs", rs, nil)),
		"another key":        send(signed(jose.RS384, "ec", rs, nil)),
		"unknown key":        send(signed(jose.RS384, "x", rs, nil)),
		"another audience":   send(signed(jose.ES384, "ec", ec, map[string]any{"aud": v.base})),
		"expired":            send(signed(jose.ES384, "ec", ec, map[string]any{"exp": v.now.Unix()})),
		"too long":           send(signed(jose.ES384, "ec", ec, map[string]any{"exp": v.now.Unix() + 303})),
		"no jti":             send(signed(jose.ES384, "ec", ec, map[string]any{"jti": ""})),
		"another subject":    send(signed(jose.ES384, "ec", ec, map[string]any{"sub": clientID})),
		"a client without":   send(signed(jose.ES384, "ec", ec, map[string]any{"sub": clientID, "iss": clientID})),
		"another client_id":  send(signed(jose.ES384, "ec", ec, nil), "client_id="+clientID),
		"type missing":       send(signed(jose.ES384, "ec", ec, nil), "client_assertion_type"),
		"no JWT":             send("x"),
		"nothing but its ID": send("", "client_assertion", "client_assertion_type", "client_id=keyed"),
	} {
		if got != "invalid_client" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := send(signed(jose.ES384, "ec", ec, nil), "client_secret=x"); got != "invalid_request" {
		t.Errorf("a secret besides: %s", got)
	}
}

// A public client has no secret, and PKCE alone.
func TestPublicClient(t *testing.T) {
	v := newVendor(t, "smart")
	v.clients = append(v.clients, Client{ID: "public", RedirectURIs: []string{redirectURI}})
	code := v.code("client_id=public")
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "client_id": {"public"}, "code_verifier": {verifier}}
	if r := v.send(http.MethodPost, "/auth/token", form.Encode(), "Content-Type: application/x-www-form-urlencoded"); r.status != http.StatusOK {
		t.Errorf("%s", r.body)
	}
}
