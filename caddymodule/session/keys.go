// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
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

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Symmetric and Asymmetric are all algorithms there are. No verifier takes
// some of both: an attacker who signs with a public key as if it were a shared
// secret (CVE-2015-9235) finds nobody to take it.
var (
	SymmetricAlgorithms  = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
	AsymmetricAlgorithms = []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
)

// The bounds of an RSA key: below it can be broken (RFC 7518 section 3.3), above
// each signature takes long.
const (
	minRSABits = 2048
	maxRSABits = 16384
)

var (
	errWeakKey   = fmt.Errorf("an RSA key has fewer than %d bits: issue a longer one", minRSABits)
	errLongKey   = fmt.Errorf("an RSA key has more than %d bits: issue a shorter one", maxRSABits)
	errMalformed = errors.New("a public key is malformed: copy it again")
)

// StaticKeySet are keys that are known beforehand. It implements [Keys].
type StaticKeySet struct{ keys []any }

// VerifySignature implements [Keys].
func (f *StaticKeySet) VerifySignature(_ context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	for _, key := range f.keys {
		if payload, err := token.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, refuse("JWT: none of the keys has signed it")
}

// ParsePublicKeys reads PEM blocks of public keys or certificates, in any form that
// [delegation.PEM] reads, and tells the algorithms they are for.
func ParsePublicKeys(texts ...string) (*StaticKeySet, []jose.SignatureAlgorithm, error) {
	var fixed StaticKeySet
	var algorithms []jose.SignatureAlgorithm
	for _, text := range texts {
		before, rest := len(fixed.keys), delegation.NormalizePEM(text)
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			key, err := publicKey(block)
			if err != nil {
				return nil, nil, err
			}
			allowed, err := algorithmsFor(key)
			if err != nil {
				return nil, nil, err
			}
			fixed.keys = append(fixed.keys, key)
			algorithms = append(algorithms, allowed...)
		}
		switch {
		case bytes.Contains(rest, []byte("-----BEGIN ")):
			return nil, nil, errDamagedPEM
		case len(fixed.keys) == before:
			return nil, nil, errNoPEM
		}
	}
	if len(fixed.keys) == 0 {
		return nil, nil, errNoPEM
	}
	slices.Sort(algorithms)
	return &fixed, slices.Compact(algorithms), nil
}

var (
	errDamagedPEM = errors.New("the PEM text is damaged: keep it whole, from the BEGIN line to the END line, and keep its line breaks or write them as \\n")
	errNoPEM      = errors.New("there is no PEM block of a public key: give it from its BEGIN line to its END line, and a file as {file./path/to/it}")
)

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errMalformed // err quotes parts of it
		}
		return key, nil
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, errMalformed
		}
		return key, nil
	case "CERTIFICATE", "X509 CERTIFICATE":
		return certificateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a PEM block is a %s: only public keys and certificates belong here", block.Type)
	}
}

// algorithmsFor are the algorithms a key is for; an error if it is no public key
// worth using.
func algorithmsFor(key any) ([]jose.SignatureAlgorithm, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		switch bits := key.N.BitLen(); {
		case bits < minRSABits:
			return nil, errWeakKey
		case bits > maxRSABits:
			return nil, errLongKey
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

// minSecretBytes is what HS256 asks for (RFC 7518 section 3.2).
const minSecretBytes = 32

// NewSharedSecrets are the secrets that app and server share, the new one and
// the old one while they change. None may be a public key: whoever knows that
// could sign.
func NewSharedSecrets(secrets ...string) (*StaticKeySet, error) {
	var fixed StaticKeySet
	for _, secret := range secrets {
		if len(secret) < minSecretBytes {
			return nil, fmt.Errorf("a secret has fewer than %d bytes: make one by `openssl rand -base64 48`", minSecretBytes)
		}
		if block, _ := pem.Decode(delegation.NormalizePEM(secret)); block != nil {
			return nil, errors.New("a secret is a PEM block: a public key belongs into public_key, and a private one nowhere here")
		}
		fixed.keys = append(fixed.keys, []byte(secret))
	}
	if len(fixed.keys) == 0 {
		return nil, errors.New("there is no secret")
	}
	return &fixed, nil
}
