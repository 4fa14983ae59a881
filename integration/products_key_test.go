// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// publicSide is a key as its issuer publishes it.
type publicSide struct {
	crypto.PublicKey
	private crypto.Signer
}

// signingKeys are made once: all that matters of them is that they differ.
var signingKeys = sync.OnceValue(func() (all struct {
	rsa [4]*rsa.PrivateKey
	ec  [4]*ecdsa.PrivateKey
},
) {
	for i := range all.rsa {
		var err error
		if all.rsa[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
		if all.ec[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			panic(err)
		}
	}
	return all
})

// forger is the key that no issuer has.
const forger = 3

// rotate has another key sign from now on.
func (srv *productServer) rotate() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.key++
	srv.secret = srv.next
}

func (srv *productServer) signer(n int) (kid string, key crypto.Signer) {
	if strings.HasPrefix(string(srv.p.signed.alg), "ES") {
		return fmt.Sprintf("key-%d", n), signingKeys().ec[n]
	}
	return fmt.Sprintf("key-%d", n), signingKeys().rsa[n]
}

// published are the keys as the product publishes them.
func (srv *productServer) published() any {
	kid, key := srv.signer(srv.key)
	side := publicSide{key.Public(), key}
	if srv.p.signed.format != nil {
		return srv.p.signed.format(kid, side)
	}
	return map[string]any{"keys": []any{side.jwk(kid, srv.p.signed.alg)}}
}

// jwk is the key as RFC 7517 has it.
func (s publicSide) jwk(kid string, alg jose.SignatureAlgorithm) map[string]any {
	number := func(n *big.Int, size int) string {
		return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, size)))
	}
	k := map[string]any{"kid": kid, "use": "sig", "alg": string(alg)}
	switch key := s.PublicKey.(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", number(key.N, key.Size()), "AQAB"
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		k["kty"], k["crv"] = "EC", "P-256"
		k["x"], k["y"] = base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
	}
	return k
}

// token signs claims as the product does.
func (srv *productServer) token(claims map[string]any) string {
	srv.t.Helper()
	kid, key := srv.signer(srv.current())
	return srv.sign(claims, kid, key, srv.secret)
}

// current is which of the signingKeys signs.
func (srv *productServer) current() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.key
}

// headerType is a claim that becomes the token's header `typ`.
const headerType = "header:typ"

// sign signs with the key, or with the secret if there is one.
func (srv *productServer) sign(claims map[string]any, kid string, key crypto.Signer, secret string) string {
	srv.t.Helper()
	signing := jose.SigningKey{Algorithm: srv.p.signed.alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}
	if secret != "" {
		signing.Key = []byte(secret)
	}
	typ := srv.p.signed.typ
	said := make(map[string]any, len(claims))
	for name, v := range claims {
		if name == headerType {
			typ = v.(string)
			continue
		}
		said[name] = v
	}
	return signedText(srv.t, signing, typ, said)
}

// signedWithSecret is a token that is signed with a secret.
func signedWithSecret(t testing.TB, secret string, alg jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	return signedText(t, jose.SigningKey{Algorithm: alg, Key: []byte(secret)}, "JWT", claims)
}

func signedText(t testing.TB, key jose.SigningKey, typ string, claims map[string]any) string {
	t.Helper()
	options := new(jose.SignerOptions)
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// googleCertificates are keys in Google's own format.
func googleCertificates(kid string, key publicSide) any {
	return map[string]string{kid: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.certificate(1)}))}
}

// certificate is one of the key that it signs itself. A negative serial number is
// none that Go would write.
func (s publicSide) certificate(serial int64) []byte {
	positive := big.NewInt(0x01020304)
	template := &x509.Certificate{SerialNumber: positive, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.PublicKey, s.private)
	if err != nil {
		panic(err)
	}
	if serial < 0 {
		at := bytes.Index(der, []byte{2, 4, 1, 2, 3, 4})
		der[at+2] = 0x81
	}
	return der
}
