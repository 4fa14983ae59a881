// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// sessionVerifierConfig is one of the settings jwt, introspect and session_endpoint, by
// which sessions are verified.
type sessionVerifierConfig interface {
	// check returns an error for what is wrong before placeholders are expanded.
	check() error
	// provision returns the verifier. check has passed before.
	provision(*AppSession, *session.Revocations) (session.Verifier, error)
}

var errNoVerifier = errors.New("say how sessions are verified: add jwks, public_key, hmac_secret, introspect or session_endpoint")

// verifierConfig returns the one that is set; an error if none or more than one is.
func (s *AppSession) verifierConfig() (kind sessionVerifierConfig, err error) {
	n := 0
	if s.JWT != nil {
		kind, n = s.JWT, n+1
	}
	if s.Introspect != nil {
		kind, n = s.Introspect, n+1
	}
	if s.SessionEndpoint != nil {
		kind, n = s.SessionEndpoint, n+1
	}
	switch n {
	case 0:
		return nil, errNoVerifier
	case 1:
		return kind, nil
	default:
		return nil, errors.New("verify sessions in one way: keys with issuer and audience, or introspect, or session_endpoint")
	}
}
