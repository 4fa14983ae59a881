// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Symmetric and Asymmetric are all algorithms there are. No verifier takes
// some of both: an attacker who signs with a public key as if it were a shared
// secret (CVE-2015-9235) finds nobody to take it.
var (
	Symmetric  = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
	Asymmetric = []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
)

// errWeakKey is about an RSA key that is too short.
var errWeakKey = errors.New("an RSA key has fewer than 2048 bits: issue a longer one")

// Fixed are keys that are known beforehand. It implements [Keys].
type Fixed struct{ keys []any }

// Payload implements [Keys].
func (f *Fixed) Payload(_ context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	for _, key := range f.keys {
		if payload, err := token.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, refuse("JWT: none of the keys has signed it")
}

// PublicKeys reads PEM blocks of public keys or certificates, and tells the
// algorithms they are for.
func PublicKeys(text []byte) (*Fixed, []jose.SignatureAlgorithm, error) {
	var fixed Fixed
	var algorithms []jose.SignatureAlgorithm
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		key, err := publicKey(block)
		if err != nil {
			return nil, nil, err
		}
		allowed, err := fitting(key)
		if err != nil {
			return nil, nil, err
		}
		fixed.keys = append(fixed.keys, key)
		algorithms = append(algorithms, allowed...)
	}
	if len(fixed.keys) == 0 {
		return nil, nil, errors.New("there is no PEM block of a public key")
	}
	slices.Sort(algorithms)
	return &fixed, slices.Compact(algorithms), nil
}

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	default:
		return nil, fmt.Errorf("a PEM block is a %s: only public keys and certificates belong here", block.Type)
	}
}

// fitting are the algorithms a key is for; an error if it is no public key
// worth using.
func fitting(key any) ([]jose.SignatureAlgorithm, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return nil, errWeakKey
		}
		return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}, nil
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}, nil
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}, nil
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}, nil
	}
	return nil, errors.New("a key is none of RSA, ECDSA and Ed25519")
}

// minSecret is what HS256 asks for (RFC 7518 section 3.2).
const minSecret = 32

// SharedSecrets are the secrets that app and server share, the new one and
// the old one while they change. None may be a public key: whoever knows that
// could sign.
func SharedSecrets(secrets ...string) (*Fixed, error) {
	var fixed Fixed
	for _, secret := range secrets {
		if len(secret) < minSecret {
			return nil, fmt.Errorf("a secret has fewer than %d bytes: make one by `openssl rand -base64 48`", minSecret)
		}
		if block, _ := pem.Decode([]byte(secret)); block != nil {
			return nil, errors.New("a secret is a PEM block: a public key belongs into public_key, and a private one nowhere here")
		}
		fixed.keys = append(fixed.keys, []byte(secret))
	}
	if len(fixed.keys) == 0 {
		return nil, errors.New("there is no secret")
	}
	return &fixed, nil
}
