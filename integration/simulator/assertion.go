// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// checkAssertion verifies a client assertion (RFC 7523). The error is for the
// records: the platform itself only says invalid_client.
func (c *call) checkAssertion(compact, endpoint string) error {
	// The list of algorithms is what stops alg=none and RS256 keys used for HMAC.
	jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return fmt.Errorf("the assertion is no JWT signed with RS256: %w", err)
	}
	payload, err := c.verify(jws)
	if err != nil {
		return err
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fmt.Errorf("the assertion's payload is no JSON object: %w", err)
	}
	account := c.sim.account
	if claims["iss"] != account || claims["sub"] != account {
		return fmt.Errorf("iss is %v and sub is %v, want both %q", claims["iss"], claims["sub"], account)
	}
	if claims["aud"] != endpoint {
		return fmt.Errorf("aud is %v, want the string %q", claims["aud"], endpoint)
	}
	exp, ok := claims["exp"].(float64)
	if !ok {
		return fmt.Errorf("exp is %v, want a number", claims["exp"])
	}
	now := float64(c.issuerTime().UnixNano()) / float64(time.Second)
	if exp <= now {
		return fmt.Errorf("exp is %.0f s ago by the issuer's clock", now-exp)
	}
	if limit := c.settings.MaxAssertionLifetime; exp-now > float64(limit) {
		return fmt.Errorf("exp is %.0f s ahead by the issuer's clock, want at most %d", exp-now, limit)
	}
	if nbf, present := claims["nbf"]; present {
		if v, ok := nbf.(float64); !ok || v > now {
			return fmt.Errorf("nbf is %v, want a number in the past", nbf)
		}
	}
	jti, ok := claims["jti"].(string)
	if !ok || jti == "" {
		return fmt.Errorf("jti is %v, want a string", claims["jti"])
	}
	if !c.sim.assertions.Add(jti, struct{}{}, time.UnixMilli(int64(1000*exp)), c.issuerTime()) {
		return fmt.Errorf("jti was used before")
	}
	return nil
}

func (c *call) verify(jws *jose.JSONWebSignature) ([]byte, error) {
	keys := *c.sim.keys.Load()
	for _, key := range keys {
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, fmt.Errorf("none of the %d registered keys made the signature", len(keys))
}

// issuerTime is the time by the issuer's clock.
func (c *call) issuerTime() time.Time {
	return c.now.Add(time.Duration(c.settings.ClockSkew) * time.Second)
}
