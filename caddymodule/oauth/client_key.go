// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ClientKey is the private key by which a client authenticates itself at a token
// endpoint that knows its public half (private_key_jwt; SMART App Launch 2.2, "Client
// Authentication: Asymmetric"). It is safe for concurrent use.
type ClientKey struct {
	private jose.JSONWebKey
}

// ParseClientKey returns the key of a PEM text: an RSA one of at least 2048 bits, which
// signs with RS384, or one of the curve P-384, which signs with ES384; every SMART
// server takes at least one of the two. The text is of PKCS#1, SEC 1 or PKCS#8,
// unencrypted, in any form that [delegation.NormalizePEM] reads. Errors say what is
// wrong and repeat nothing of the text.
func ParseClientKey(text string) (*ClientKey, error) {
	block, rest, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	if block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes them before the key
		if next, more := pem.Decode(rest); next != nil {
			block, rest = next, more
		}
	}
	if err := checkAlone(rest); err != nil {
		return nil, err
	}
	key, err := parsePEMBlock(block)
	if err != nil {
		return nil, err
	}
	k := &ClientKey{jose.JSONWebKey{Key: key, Use: "sig"}}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if err := checkRSA(key); err != nil {
			return nil, err
		}
		k.private.Algorithm = string(jose.RS384)
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P384() {
			return nil, fmt.Errorf("the key is of the curve %s: make one of P-384 with openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", key.Params().Name)
		}
		k.private.Algorithm = string(jose.ES384)
	}
	thumbprint, err := k.private.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, errors.New("the key has no thumbprint: make a new one")
	}
	k.private.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return k, nil
}

// Algorithm returns the signature algorithm, RS384 or ES384.
func (k *ClientKey) Algorithm() string { return k.private.Algorithm }

// ID returns the key's ID (kid): its thumbprint (RFC 7638), so that the same key has
// the same ID wherever it is used, and another key another one.
func (k *ClientKey) ID() string { return k.private.KeyID }

// Assertion returns a JWT by which the client authenticates itself (RFC 7523 section
// 3), with the key's ID. audience is the token endpoint. It can be used once, by its
// jti: send a new one with every request.
func (k *ClientKey) Assertion(client, audience string, lifetime time.Duration) (string, error) {
	return signAssertion(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.private.Algorithm), Key: k.private}, client, audience, lifetime)
}

// PublicJWKS returns the JWK set (RFC 7517) with the key's public half, which the
// operator registers at the vendor: indented JSON with a line break at its end.
func (k *ClientKey) PublicJWKS() (string, error) {
	text, err := json.MarshalIndent(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.private.Public()}}, "", "  ")
	if err != nil {
		return "", errors.New("the public key cannot be written as a JWK set")
	}
	return string(text) + "\n", nil
}
