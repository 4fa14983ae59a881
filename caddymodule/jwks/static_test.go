// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks/jwkstest"
)

// TestKeysFromFiles protects operators from keys that are none or too weak.
func TestKeysFromFiles(t *testing.T) {
	weak, _ := rsa.GenerateKey(rand.Reader, 1024) // it has to be weak
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	public := func(key any) string {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	der, _ := x509.MarshalPKCS8PrivateKey(edwards)
	ec := public(jwkstest.NewKey(t).Public())
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"Ed25519":     {public(edwards.Public()), "EdDSA"},
		"P-256":       {ec, "ES256"},
		"two kinds":   {ec + public(edwards.Public()), "ES256 EdDSA"},
		"weak RSA":    {"", ""},
		"private key": {string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), ""},
		"nothing":     {"-----BEGIN NOTHING", ""},
		"empty":       {"", ""},
	} {
		if name == "weak RSA" && weak != nil {
			c.text = public(weak.Public())
		}
		_, algorithms, err := ParsePublicKeys(c.text)
		var got []string
		for _, a := range algorithms {
			got = append(got, string(a))
		}
		if strings.Join(got, " ") != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := NewSharedSecrets(strings.Repeat("x", minSecretBytes-1)); err == nil {
		t.Error("a short secret is taken")
	}
}
