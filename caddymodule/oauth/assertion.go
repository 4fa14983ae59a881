// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
)

// AssertionType is the value of client_assertion_type (RFC 7523 section 2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// MaxAssertionLifetime is the longest life of an assertion: SMART Backend Services
// allows five minutes, of which some are left for clocks that differ.
const MaxAssertionLifetime = 200 * time.Second

// Assertion returns a JWT by which a client authenticates itself (RFC 7523 section
// 3), signed with RS256 and without a key ID. It can be used once, by its jti:
// send a new one with every request.
func Assertion(key *rsa.PrivateKey, account, audience string, lifetime time.Duration) (string, error) {
	return signAssertion(jose.SigningKey{Algorithm: jose.RS256, Key: key}, account, audience, lifetime)
}

// signAssertion returns an assertion signed by a key, whose ID, if it has one, is in
// the header.
//
// The assertion has neither iat nor nbf: a server whose clock is ahead of the
// issuer's would be refused for them, and exp alone bounds it.
func signAssertion(key jose.SigningKey, account, audience string, lifetime time.Duration) (string, error) {
	if lifetime < time.Second || lifetime > MaxAssertionLifetime {
		return "", fmt.Errorf("an assertion lives from 1 s to %v", MaxAssertionLifetime)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("making the assertion's ID: %w", err)
	}
	payload, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"` // a string: with a list, some issuers compare nothing
		Expires  int64  `json:"exp"`
		ID       string `json:"jti"`
	}{account, account, audience, time.Now().Add(lifetime).Unix(), id.String()})
	if err != nil {
		return "", fmt.Errorf("writing the assertion: %w", err)
	}
	signer, err := jose.NewSigner(key, new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return "", errors.New("the assertion cannot be signed with this key")
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", errors.New("the assertion cannot be signed with this key")
	}
	return signed.CompactSerialize()
}
