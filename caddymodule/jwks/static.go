// SPDX-License-Identifier: Apache-2.0

package jwks

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// StaticKeySet holds keys of the configuration: public keys or shared secrets.
// It implements [KeySet].
type StaticKeySet struct{ keys []any }

// NewStaticKeySet returns a set of public keys ([*crypto/rsa.PublicKey],
// [*crypto/ecdsa.PublicKey], [crypto/ed25519.PublicKey]) or secrets ([]byte),
// which it does not check: see [ParsePublicKeys] and [NewSharedSecrets].
func NewStaticKeySet(keys ...any) *StaticKeySet { return &StaticKeySet{keys} }

// VerifySignature implements [KeySet]. Each key is tried: there are few.
func (s *StaticKeySet) VerifySignature(_ context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	for _, key := range s.keys {
		if payload, err := token.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, refuseToken("JWT: none of the keys has signed it")
}

// SignedByDecodedSecret tells whether a secret of the set would have signed the
// token if it were decoded from base64: some libraries decode the secret that
// they are given, others take it as it is.
func (s *StaticKeySet) SignedByDecodedSecret(token *jose.JSONWebSignature) bool {
	for _, key := range s.keys {
		secret, ok := key.([]byte)
		if !ok {
			continue
		}
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			if decoded, err := encoding.DecodeString(string(secret)); err == nil {
				if _, err := token.Verify(decoded); err == nil {
					return true
				}
			}
		}
	}
	return false
}

// ParsePublicKeys reads PEM blocks of public keys or certificates, in any form
// that [delegation.NormalizePEM] reads, and returns the algorithms that they can
// be used with, sorted. No error quotes a key.
func ParsePublicKeys(texts ...string) (*StaticKeySet, []jose.SignatureAlgorithm, error) {
	var set StaticKeySet
	var algorithms []jose.SignatureAlgorithm
	for _, text := range texts {
		before, rest := len(set.keys), delegation.NormalizePEM(text)
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
			set.keys = append(set.keys, key)
			algorithms = append(algorithms, allowed...)
		}
		switch {
		case bytes.Contains(rest, []byte("-----BEGIN ")):
			return nil, nil, errDamagedPEM
		case len(set.keys) == before:
			return nil, nil, errNoPEM
		}
	}
	if len(set.keys) == 0 {
		return nil, nil, errNoPEM
	}
	slices.Sort(algorithms)
	return &set, slices.Compact(algorithms), nil
}

var (
	errDamagedPEM = errors.New("the PEM text is damaged: keep it whole, from the BEGIN line to the END line, and keep its line breaks or write them as \\n")
	errNoPEM      = errors.New("there is no PEM block of a public key: give it from its BEGIN line to its END line, and a file as {file./path/to/it}")
)

// minSecretBytes is the least that HS256 asks for (RFC 7518 section 3.2).
const minSecretBytes = 32

// NewSharedSecrets returns a set of the secrets that app and server share: the
// new one and, during a rotation, the old one. A secret is used as it is, not
// decoded. None may be a public key: whoever knows that could sign.
func NewSharedSecrets(secrets ...string) (*StaticKeySet, error) {
	var set StaticKeySet
	for _, secret := range secrets {
		if len(secret) < minSecretBytes {
			return nil, fmt.Errorf("a secret has fewer than %d bytes: make one by `openssl rand -base64 48`", minSecretBytes)
		}
		if block, _ := pem.Decode(delegation.NormalizePEM(secret)); block != nil {
			return nil, errors.New("a secret is a PEM block: a public key belongs into public_key, and a private one nowhere here")
		}
		set.keys = append(set.keys, []byte(secret))
	}
	if len(set.keys) == 0 {
		return nil, errors.New("there is no secret")
	}
	return &set, nil
}
