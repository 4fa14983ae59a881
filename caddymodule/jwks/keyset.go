// SPDX-License-Identifier: Apache-2.0

// Package jwks holds the keys by which the signatures of JSON Web Tokens are
// verified: those that an issuer publishes as a JSON Web Key Set (RFC 7517), and
// public keys and shared secrets that are in the configuration.
package jwks

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// KeySet verifies signatures. It is safe for concurrent use.
type KeySet interface {
	// VerifySignature returns the payload of a token if one of the keys has
	// signed it. The error is a refusal: session_required if none has,
	// session_unavailable if that cannot be told now. The algorithm has to be
	// checked before, when the token is parsed.
	VerifySignature(ctx context.Context, token *jose.JSONWebSignature) (payload []byte, err error)
}

// SymmetricAlgorithms and AsymmetricAlgorithms are the signature algorithms that
// tokens may use (RFC 7518 section 3.1, RFC 8037). No verifier accepts some of
// both: an attacker who signs with a public key as if it were a shared secret
// (CVE-2015-9235) finds nobody to take it.
var (
	SymmetricAlgorithms  = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
	AsymmetricAlgorithms = []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
)

// The bounds of an RSA key: shorter ones can be broken (RFC 7518 section 3.3),
// and each signature of a longer one takes long.
const (
	minRSABits = 2048
	maxRSABits = 16384
)

var (
	errWeakKey = fmt.Errorf("an RSA key has fewer than %d bits: issue a longer one", minRSABits)
	errLongKey = fmt.Errorf("an RSA key has more than %d bits: issue a shorter one", maxRSABits)
)

// algorithmsFor returns the algorithms that a public key can be used with; an
// error if it is no public key, or one that is not safe.
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

// refuseToken returns the refusal of a token that none of the keys has signed. The
// reason is for the operator's log and quotes nothing of the token.
func refuseToken(reason string) *delegation.Refusal {
	return delegation.Refuse(delegation.SessionRequired, errors.New(reason))
}
