// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// keys are those with which the vendor signs. They are made when they are needed
// first: an RSA key takes its time.
type keys struct {
	access []byte // of access tokens that are JWTs
	once   sync.Once
	id     *rsa.PrivateKey // of ID tokens
}

const idKeyID = "id-key-1"

// idKey is the key of ID tokens.
func (k *keys) idKey() *rsa.PrivateKey {
	k.once.Do(func() {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic("sources: " + err.Error())
		}
		k.id = key
	})
	return k.id
}

// accessJWT is an access token that says whose it is and when it ends.
func (v *Vendor) accessJWT(g *grant, now, expires time.Time) string {
	return signJWT(jose.SigningKey{Algorithm: jose.HS256, Key: v.keys.access}, map[string]any{
		"sub": g.account, "user": g.account, "iat": now.Unix(), "exp": expires.Unix(), "jti": secret(""),
	})
}

// idToken says who has signed in, for the scope openid.
func (c *call) idToken(g *grant, nonce string) string {
	base := control.Base(c.Request)
	claims := map[string]any{
		"iss": base, "sub": g.account, "aud": g.client, "iat": c.now.Unix(), "exp": c.now.Add(5 * time.Minute).Unix(),
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if c.settings.Protocol == SMART {
		claims["iss"] = c.settings.fhirBase(base)
		claims["fhirUser"] = c.settings.fhirBase(base) + "/Patient/" + g.patient
	}
	return signJWT(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: c.sim.keys.idKey(), KeyID: idKeyID}}, claims)
}

// serveKeys answers with the public key of ID tokens.
func (c *call) serveKeys() {
	c.json(200, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &c.sim.keys.idKey().PublicKey, KeyID: idKeyID, Algorithm: "RS256", Use: "sig"}}})
}

func signJWT(key jose.SigningKey, claims map[string]any) string {
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		panic("sources: " + err.Error())
	}
	signed, err := signer.Sign(control.Marshal(claims))
	if err != nil {
		panic("sources: " + err.Error())
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		panic("sources: " + err.Error())
	}
	return text
}
