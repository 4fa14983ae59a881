// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// SessionJWT verifies sessions that are signed JSON Web Tokens, by the rules of RFC 8725.
// What a claim is needed for, and what can be used instead:
//
// Claim | Needed for | Instead
// ------|------------|--------
// `iss` | whose sessions these are, and the realm | with a key of the app's own: the realm
// `aud` | that they are for this app | another claim: audience_claim; with a key of the app's own: nothing else is signed by it
// `sub` | who is signed in | another claim: subject_claim
// `exp` | when they end | `iat` and lifetime
// `iat` | which of them a logout ends | `exp` and lifetime
//
// `nbf` is respected. Clocks may differ by 30 s. A token is valid for 30 days after its
// issue at most. Tokens that say that they are refresh tokens are refused.
type SessionJWT struct {
	// JWKS is the address of the issuer's keys (RFC 7517), or of an object of
	// certificates by their `kid`: https, or http on loopback or with
	// insecure_http. They are fetched when the first session is verified, again
	// when one comes that none of them has signed, every 10 s at most, and every
	// hour. Redirects are followed to https on the same host. Accepts {env.*} and
	// {file.*}.
	JWKS string `json:"jwks,omitempty"`

	// PublicKeys are the issuer's public keys or certificates in PEM. Give {file.*} or
	// {env.*}, or write them here.
	PublicKeys []string `json:"public_keys,omitempty"`

	// HMACSecrets are the secrets that app and server share, at least 32 bytes each; two
	// during a rotation. Give {file.*} or {env.*}; a secret written here in clear
	// shows in the config API. Line breaks around it do not count.
	HMACSecrets []string `json:"hmac_secrets,omitempty"`

	// Issuer is the value that `iss` must have. Required, unless the keys are given here
	// and the sessions have a realm. Accepts {env.*} and {file.*}.
	Issuer string `json:"issuer,omitempty"`

	// Audiences are the values of which the audience claim must have one. Required,
	// unless the keys are given here and the sessions have a realm: then everything
	// that such a key has signed is a session. Accept {env.*}
	// and {file.*}.
	Audiences []string `json:"audiences,omitempty"`

	// AudienceClaim is the claim that Audiences are compared with, such as
	// `client_id` or `azp`. A token without it is refused. Default: `aud`.
	AudienceClaim string `json:"audience_claim,omitempty"`

	// SubjectClaim is the claim that names the user: a string, or a whole number
	// above 0, which counts as its decimal. `user.id` is a claim of that name, or
	// else `id` in the object `user`. Default: `sub`.
	SubjectClaim string `json:"subject_claim,omitempty"`

	// Lifetime is the time from the issue of a session to its end, where a token tells
	// only one of `exp` and `iat`. If in doubt give more, up to 366 days: a logout then
	// also ends sessions that began up to as much after it, while with less it would
	// miss some. A token for which it is seen to be too short is refused. Default: both
	// `exp` and `iat` are required.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// Algorithms are the accepted signature algorithms. Default: for a JWKS those of
	// RSA, ECDSA and EdDSA; for public keys those that they can be used with; for
	// secrets HS256.
	Algorithms []string `json:"algorithms,omitempty"`

	// Type is the value that `typ` must have, such as `at+jwt`. Default: `JWT`, `at+jwt`
	// or none.
	Type string `json:"type,omitempty"`

	issuer string // with placeholders expanded
}

// provision returns the verifier with its cache, from the pool or a new one. It warns if
// every token of a key is a session.
func (j *SessionJWT) provision(s *AppSession, revocations *session.Revocations) (session.Verifier, error) {
	v, keys, err := j.newVerifier(s.HTTP, &s.refs, s.checkAddress)
	if err != nil {
		return nil, err
	}
	if j.JWKS == "" && len(j.Audiences) == 0 {
		s.directive.logger.Warn("app_session has no audience: every token that this key has signed lets its user in, whatever it was issued for; sign nothing else with it", zap.String("setting", j.keySource()))
	}
	if j.userClaim() != subjectClaim || j.issuer == "" {
		// Users have another name than the issuer's: a revocation by its `sub` must not
		// meet the user who has the same name here.
		v.Realm = s.Realm
	}
	s.directive.app.logoutRealms.addSession(v.Issuer, s.Realm)
	if s.Realm == "" {
		if err := s.directive.app.claimDefaultRealm(v.Issuer, j.userClaim()); err != nil {
			return nil, err
		}
	}
	life := session.MaxAge
	if j.JWKS != "" {
		life = jwks.KeyRefreshInterval // a key that is withdrawn must not be believed for longer
	}
	return s.poolVerifier(append(v.Settings(), keys), life, func() pooledVerifier {
		return pooledVerifier{Verifier: session.NewCache(v, revocations, life)}
	}), nil
}

// subjectClaim is the registered claim of the user's name.
const subjectClaim = "sub"

// userClaim returns the claim that names the user.
func (j *SessionJWT) userClaim() string { return cmp.Or(j.SubjectClaim, subjectClaim) }

// issuerAlias returns the alias by which the issuer's logout tokens name the user, if
// sessions name the user by another claim.
func (j *SessionJWT) issuerAlias() (alias session.Alias, ok bool) {
	return session.Alias{Realm: j.issuer, Claim: subjectClaim}, j.issuer != "" && j.userClaim() != subjectClaim
}

// newVerifier returns the verifier of tokens, without a realm of its own, and the names of
// its keys, of which a cache key is made. check has passed before.
func (j *SessionJWT) newVerifier(http *HTTP, refs *poolRefs, check addressCheck) (v *session.JWT, keyNames []string, err error) {
	repl := caddy.NewReplacer()
	v = &session.JWT{Type: j.Type, AudienceClaim: j.AudienceClaim, SubjectClaim: j.SubjectClaim, Lifetime: time.Duration(j.Lifetime)}
	if j.Issuer != "" {
		if v.Issuer, err = expandSetting(repl, j.Issuer); err != nil {
			return nil, nil, fmt.Errorf("issuer: %w", err)
		}
	}
	j.issuer = v.Issuer
	if v.Audiences, err = expandSettings(repl, j.Audiences); err != nil {
		return nil, nil, fmt.Errorf("audience: %w", err)
	}
	keys, err := j.loadKeys(repl, http, refs, check)
	if err != nil {
		return nil, nil, err
	}
	v.Keys, v.Algorithms = keys.set, keys.defaults
	if len(j.Algorithms) > 0 {
		v.Algorithms = nil
	}
	for _, name := range j.Algorithms {
		if !slices.Contains(keys.fitting, jose.SignatureAlgorithm(name)) {
			return nil, nil, fmt.Errorf("algorithm %s does not go with %s: use some of %v", name, j.keySource(), keys.fitting)
		}
		v.Algorithms = append(v.Algorithms, jose.SignatureAlgorithm(name))
	}
	return v, append(keys.names, j.keySource()), nil
}
