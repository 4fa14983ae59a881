// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func curveKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sec1(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemText("EC PRIVATE KEY", der)
}

// TestClientKey protects the authentication at a SMART server, with keys in each shape
// that openssl writes: what it is sent verifies by the JWK set that the operator has
// registered, found by the key's ID, and names the client, the token endpoint and an end
// within five minutes. Nothing of the private key is in the set.
func TestClientKey(t *testing.T) {
	curve := curveKey(t, elliptic.P384())
	const client, endpoint = "portal", "https://fhir.stmary.example/oauth2/token"
	ids := make(map[string]string)
	for _, shape := range []struct{ name, text, algorithm string }{
		{"RSA, PKCS#1", pkcs1(testKey()), "RS384"},
		{"RSA, PKCS#8", pkcs8(t, testKey()), "RS384"},
		{"EC, SEC 1", sec1(t, curve), "ES384"},
		{"EC, parameters before it", pemText("EC PARAMETERS", []byte{6, 5, 43, 129, 4, 0, 34}) + sec1(t, curve), "ES384"},
		{"EC, PKCS#8", pkcs8(t, curve), "ES384"},
		{"EC, one line", strings.ReplaceAll(sec1(t, curve), "\n", `\n`), "ES384"},
	} {
		t.Run(shape.name, func(t *testing.T) {
			key, err := ParseClientKey(shape.text)
			if err != nil {
				t.Fatal(err)
			}
			if known := ids[shape.algorithm]; known != "" && known != key.ID() {
				t.Error("the same key has another ID")
			}
			ids[shape.algorithm] = key.ID()
			text, err := key.PublicJWKS()
			if err != nil {
				t.Fatal(err)
			}
			var set jose.JSONWebKeySet
			if err := json.Unmarshal([]byte(text), &set); err != nil || len(set.Keys) != 1 || !set.Keys[0].IsPublic() || strings.Contains(text, `"d"`) {
				t.Fatalf("%s, %v", text, err)
			}
			if k := set.Keys[0]; k.KeyID != key.ID() || k.Algorithm != shape.algorithm || k.Use != "sig" || key.Algorithm() != shape.algorithm {
				t.Errorf("%+v", k)
			}
			seen := make(map[any]bool)
			for range 3 {
				claims := verifiedAssertion(t, key, &set, client, endpoint)
				if seen[claims["jti"]] {
					t.Error("the same jti twice")
				}
				seen[claims["jti"]] = true
			}
			if _, err := key.Assertion(client, endpoint, 6*time.Minute); err == nil {
				t.Error("an assertion of six minutes is made, which servers refuse")
			}
		})
	}
	if ids["RS384"] == ids["ES384"] {
		t.Error("two keys have the same ID")
	}
}

// verifiedAssertion returns the claims of a new assertion, having checked it as a SMART
// server does.
func verifiedAssertion(t *testing.T, key *ClientKey, set *jose.JSONWebKeySet, client, endpoint string) map[string]any {
	t.Helper()
	before := time.Now().Unix()
	compact, err := key.Assertion(client, endpoint, MaxAssertionLifetime)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS384, jose.ES384})
	if err != nil {
		t.Fatal(err)
	}
	header := jws.Signatures[0].Protected
	named := set.Key(header.KeyID)
	if len(named) != 1 || header.Algorithm != named[0].Algorithm || header.ExtraHeaders[jose.HeaderType] != "JWT" {
		t.Fatalf("header %+v", header)
	}
	payload, err := jws.Verify(named[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, []string{"aud", "exp", "iss", "jti", "sub"}) {
		t.Errorf("claims %v", got)
	}
	if claims["iss"] != client || claims["sub"] != client || claims["aud"] != endpoint {
		t.Errorf("claims %v", claims)
	}
	if exp, _ := claims["exp"].(float64); exp <= float64(before) || exp > float64(before+300) {
		t.Errorf("exp %v at %v", exp, before)
	}
	return claims
}

// TestClientKeyRefusals protects operators from a key that no SMART server takes, and
// logs from parts of a key.
func TestClientKeyRefusals(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve := sec1(t, curveKey(t, elliptic.P384()))
	for name, c := range map[string]struct{ text, want string }{
		"empty":           {"", "empty"},
		"file name":       {"/run/secrets/planted.pem", "no PEM text"},
		"P-256":           {sec1(t, curveKey(t, elliptic.P256())), "P-384"},
		"P-521 in PKCS#8": {pkcs8(t, curveKey(t, elliptic.P521())), "P-384"},
		"Ed25519":         {pkcs8(t, edwards), "Ed25519"},
		"1024 bits":       {pkcs1(small), "1024 bits"},
		"parameters only": {pemText("EC PARAMETERS", []byte("planted")), "parameters"},
		"damaged":         {pemText("EC PRIVATE KEY", []byte("planted")), "damaged"},
		"two keys":        {curve + curve, "more than one"},
		"public":          {pemText("PUBLIC KEY", []byte("planted")), "public key"},
	} {
		_, err := ParseClientKey(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || bytes.Contains([]byte(err.Error()), []byte("planted")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
