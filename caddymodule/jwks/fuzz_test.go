// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks/jwkstest"
)

// FuzzKeys looks for key sets that make the reader fall over, from which it takes
// what is no public key, or whose use depends on what no verifier needs.
func FuzzKeys(f *testing.F) {
	e := base64.RawURLEncoding.EncodeToString
	raw := e([]byte(`{"alg":"ES256","kid":"ed"}`)) + "." + e([]byte(`{}`)) + "." + e([]byte(strings.Repeat("x", 64)))
	const one = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}`
	ec, _ := jwkstest.Public(jwkstest.NewKey(f), "ec").MarshalJSON()
	for _, seed := range []string{
		`{"keys":[` + one + `,` + string(ec) + `]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":1,"x5c":["!"],"d":"AA"}]}`, `{"keys":{}}`, `{"keys":null}`, `[]`, `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":""}]}`,
		`{"a":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"}`, `{"a":"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, passed, err := parseKeySet(text)
		if len(keys) > maxKeys || len(passed) > maxKeys || (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys, %d are passed over, %v", len(keys), len(passed), err)
		}
		for _, key := range keys {
			if _, err := algorithmsFor(key.Key); err != nil || !key.IsPublic() || len(key.KeyID) > maxKeyID || len(key.Certificates) > 0 {
				t.Errorf("taken: %T, %v", key.Key, err)
			}
		}
		for _, key := range passed {
			if key.Reason == "" || len(key.KeyID) > maxKeyID+len("…") || strings.ContainsAny(key.KeyID, "\x00\r\n") {
				t.Errorf("passed over: %+v", key)
			}
		}
		// It is tried on a token without falling over.
		token, parseErr := jose.ParseSignedCompact(raw, AsymmetricAlgorithms)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		if payload, err := (&fetchedKeys{keys: keys}).verify(token); err == nil {
			t.Errorf("verified: %q", payload)
		}
	})
}

// FuzzCertificate looks for certificates whose key is another than crypto/x509
// finds, where that reads them.
func FuzzCertificate(f *testing.F) {
	key := jwkstest.NewKey(f)
	template := &x509.Certificate{SerialNumber: big.NewInt(0x5a5b5c5d), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		got, err := certificateKey(der)
		usual, usualErr := x509.ParseCertificate(der)
		if usualErr != nil || usual.PublicKey == nil {
			return
		}
		same, ok := usual.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		if err != nil || !ok || !same.Equal(got) {
			t.Errorf("%T %v, want %T", got, err, usual.PublicKey)
		}
	})
}
