// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
)

// explained is what findings say of a credential as a whole.
func explained(findings []CredentialFinding) bool {
	return !slices.ContainsFunc(findings, func(f CredentialFinding) bool { return !f.OK })
}

// TestExplain protects operators from guessing: each reason is told with what
// the token says and the setting that would change it, all of them at once, and
// nothing of the person or of a signature.
func TestExplain(t *testing.T) {
	key := newKey(t)
	secret := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 48)))
	shared, err := jwks.NewSharedSecrets(secret)
	if err != nil {
		t.Fatal(err)
	}
	j := verifierOf(jwks.NewStaticKeySet(key.Public()))
	hmac := &JWT{Issuer: testIssuer, Audiences: []string{testAudience}, Algorithms: jwks.SymmetricAlgorithms[:1], Keys: shared}
	token := func(change map[string]any) string {
		return sign(t, jose.ES256, key, map[string]any{"kid": "key-1"}, testClaims(change))
	}
	for name, c := range map[string]struct {
		verifier *JWT
		token    string
		wants    []string // one finding that fails each
	}{
		"opaque":            {j, "2a8f3c", []string{"form: it is opaque", "`introspect`", "`session_endpoint`"}},
		"encrypted":         {j, "eyJh.b.c.d.e", []string{"form: it is encrypted (a JWE)", "`session_endpoint`"}},
		"cut":               {j, token(nil)[:100], []string{"it was cut"}},
		"another issuer":    {j, token(map[string]any{"iss": testIssuer + "/"}), []string{"iss: iss is another issuer by the slash at its end alone, and they have to agree to the last slash: it says https://login.example.org/ and `issuer` says https://login.example.org"}},
		"no issuer":         {j, token(map[string]any{"iss": nil}), []string{"leave `issuer` out and give a `realm`"}},
		"no aud, client_id": {j, token(map[string]any{"aud": nil, "client_id": "web"}), []string{"client_id names web: if that is your app write `audience_claim client_id`"}},
		"no sub, user_id":   {j, token(map[string]any{"sub": nil, "user_id": 42}), []string{"others that could name the user: user_id: `subject_claim`"}},
		"two at once":       {j, token(map[string]any{"iss": "x", "aud": "y"}), []string{"iss: ", "aud: "}},
		"expired":           {j, token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), []string{"iat, exp: it has expired: iat 2"}},
		"no iat":            {j, token(map[string]any{"iat": nil}), []string{"set `lifetime`"}},
		"not signed":        {j, token(nil)[:len(token(nil))-4] + "AAAA", []string{"its kid is key-1", "whoever has written it"}},
		"a shared secret":   {j, sign(t, jose.HS256, []byte(secret), nil, testClaims(nil)), []string{"alg: HS256, and allowed are [", "write `hmac_secret`"}},
		"a private key":     {hmac, token(nil), []string{"alg: ES256", "write `jwks` or `public_key`"}},
		"a decoded secret":  {hmac, sign(t, jose.HS256, []byte(strings.Repeat("s", 48)), nil, testClaims(nil)), []string{"the secret, decoded from base64, has"}},
		"another type":      {j, sign(t, jose.ES256, key, map[string]any{"typ": "logout+jwt"}, testClaims(nil)), []string{"typ: logout+jwt", "`type logout+jwt`"}},
		"a refresh token":   {j, token(map[string]any{"token_use": "refresh"}), []string{"token_use: it is a refresh token"}},
	} {
		t.Run(name, func(t *testing.T) {
			findings := c.verifier.Explain(t.Context(), bearer(c.token))
			var failed strings.Builder
			for _, f := range findings {
				if !f.OK {
					fmt.Fprintf(&failed, "%s: %s\n", f.Name, f.Detail)
				}
			}
			for _, want := range c.wants {
				if !strings.Contains(failed.String(), want) {
					t.Errorf("%q is missing of\n%s", want, failed.String())
				}
			}
			if text := fmt.Sprint(findings); strings.Contains(text, "alice") || strings.Contains(text, c.token[strings.LastIndexByte(c.token, '.')+1:]) && strings.Count(c.token, ".") == 2 || strings.Contains(text, secret) {
				t.Errorf("too much is told: %s", text)
			}
		})
	}
}
