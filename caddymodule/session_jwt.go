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

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// SessionJWT has sessions verified that are signed JSON Web Tokens, as
// RFC 8725 has it. What a claim is needed for, and what can serve instead:
//
// Claim | Needed for | Instead
// ------|------------|--------
// `iss` | whose sessions these are, and the realm | with a key of the app's own: the realm
// `aud` | that they are for this app | another claim: audience_claim; with a key of the app's own: nothing else is signed by it
// `sub` | who is signed in | another claim: subject_claim
// `exp` | when they end | `iat` and lifetime
// `iat` | which of them a logout ends | `exp` and lifetime
//
// `nbf` is honoured. Clocks may differ by 30 s. A token is good for 30 days after
// its issue at most. Refresh tokens that say so are refused.
type SessionJWT struct {
	// JWKS is the address of the issuer's keys (RFC 7517), or of an object of
	// certificates by their names: https, or http on loopback or with
	// insecure_http. They are fetched when the first session is verified, again
	// when one comes that none of them has signed, every 10 s at most, and every
	// hour. Redirects are followed to https on the same host. Accepts {env.*} and
	// {file.*}.
	JWKS string `json:"jwks,omitempty"`

	// PublicKeys are the issuer's in PEM, or certificates. Give {file.*} or
	// {env.*}, or write them here.
	PublicKeys []string `json:"public_keys,omitempty"`

	// HMACSecrets are what app and server share: at least 32 bytes; two while
	// they change. Give {file.*} or {env.*}; a secret written here in clear
	// shows in the config API. Line breaks around it do not count.
	HMACSecrets []string `json:"hmac_secrets,omitempty"`

	// Issuer is what `iss` has to be. Required, unless the keys are given here
	// and the sessions have a realm. Accepts {env.*} and {file.*}.
	Issuer string `json:"issuer,omitempty"`

	// Audiences are those of which the audience's claim has to name one.
	// Required, unless the keys are given here and the sessions have a realm:
	// then everything that such a key has signed is a session. Accept {env.*}
	// and {file.*}.
	Audiences []string `json:"audiences,omitempty"`

	// AudienceClaim is the claim that Audiences are compared with, such as
	// `client_id` or `azp`. A token without it is refused. Default: `aud`.
	AudienceClaim string `json:"audience_claim,omitempty"`

	// SubjectClaim is the claim that names the user: a string, or a whole number
	// above 0, which counts as its decimal. `user.id` is a claim of that name, or
	// else `id` in the object `user`. Default: `sub`.
	SubjectClaim string `json:"subject_claim,omitempty"`

	// Lifetime is how long the issuer's sessions live. It serves where a token
	// tells its end but not its issue, or the other way round. If in doubt give
	// more, up to 366 days: a logout then also ends sessions that began up to as
	// much after it, while with less it would miss some. Those for which it is
	// seen to be less are refused. Default: both `exp` and `iat` are required.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// Algorithms are those that may have been used. Default: for a JWKS those
	// of RSA, ECDSA and EdDSA; for public keys those they are for; for secrets
	// HS256.
	Algorithms []string `json:"algorithms,omitempty"`

	// Type is what `typ` has to be, such as `at+jwt`. Default: `JWT`, `at+jwt`
	// or nothing.
	Type string `json:"type,omitempty"`

	issuer string // expanded
}

// pooledKeySet are an issuer's keys in the pool.
type pooledKeySet struct{ *jwks.RemoteKeySet }

// Destruct runs when no configuration uses the keys any more.
func (k pooledKeySet) Destruct() error { return k.Close() }

func (j *SessionJWT) provision(s *AppSession, revocations *session.Revocations) (session.Verifier, error) {
	if err := j.checkBinding(s.Realm); err != nil {
		return nil, err
	}
	v, keys, err := j.newVerifier(s.HTTP, &s.refs, s.checkAddress)
	if err != nil {
		return nil, err
	}
	if j.JWKS == "" && len(j.Audiences) == 0 {
		s.directive.logger.Warn("app_session has no audience: every token that this key has signed lets its user in, whatever it was issued for; sign nothing else with it", zap.String("setting", j.keySource()))
	}
	if j.userClaim() != subjectClaim || j.issuer == "" {
		// By another claim, or of nobody in particular, users have another name
		// than the issuer's: what is revoked by one of them must not meet another.
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

// userClaim is the claim that names users.
func (j *SessionJWT) userClaim() string { return cmp.Or(j.SubjectClaim, subjectClaim) }

// issuerAlias is the name by which the issuer tells that a user has signed out, where
// sessions are named by another claim.
func (j *SessionJWT) issuerAlias() (alias session.Alias, ok bool) {
	return session.Alias{Realm: j.issuer, Claim: subjectClaim}, j.issuer != "" && j.userClaim() != subjectClaim
}

// newVerifier also returns what names its keys.
func (j *SessionJWT) newVerifier(http *HTTP, taken *poolRefs, allowed addressCheck) (v *session.JWT, keys []string, err error) {
	if err := j.check(); err != nil {
		return nil, nil, err
	}
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
	var fitting []jose.SignatureAlgorithm
	switch {
	case j.JWKS != "":
		v.Keys, keys, err = j.poolRemoteKeySet(repl, http, taken, allowed)
		fitting, v.Algorithms = jwks.AsymmetricAlgorithms, jwks.AsymmetricAlgorithms
	case len(j.PublicKeys) > 0:
		keys = make([]string, len(j.PublicKeys))
		for i, setting := range j.PublicKeys {
			if keys[i], err = expandSecret(repl, setting); err != nil {
				return nil, nil, fmt.Errorf("public_key: %w", err)
			}
		}
		v.Keys, fitting, err = jwks.ParsePublicKeys(keys...)
		v.Algorithms = fitting
	default:
		keys = make([]string, len(j.HMACSecrets))
		for i, setting := range j.HMACSecrets {
			if keys[i], err = readSecret(repl, "hmac_secret", setting); err != nil {
				return nil, nil, err
			}
		}
		v.Keys, err = jwks.NewSharedSecrets(keys...)
		fitting, v.Algorithms = jwks.SymmetricAlgorithms, jwks.SymmetricAlgorithms[:1]
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", j.keySource(), err)
	}
	if len(j.Algorithms) > 0 {
		v.Algorithms = nil
	}
	for _, name := range j.Algorithms {
		if !slices.Contains(fitting, jose.SignatureAlgorithm(name)) {
			return nil, nil, fmt.Errorf("algorithm %s does not go with %s: use some of %v", name, j.keySource(), fitting)
		}
		v.Algorithms = append(v.Algorithms, jose.SignatureAlgorithm(name))
	}
	return v, append(keys, j.keySource()), nil
}

// poolRemoteKeySet finds or makes the keys that are fetched, and returns what names them.
// A reload does not fetch them again: the issuer may be down just then.
func (j *SessionJWT) poolRemoteKeySet(repl *caddy.Replacer, http *HTTP, taken *poolRefs, allowed addressCheck) (jwks.KeySet, []string, error) {
	address, err := expandSetting(repl, j.JWKS)
	if err != nil {
		return nil, nil, err
	}
	if err := allowed("jwks", address); err != nil {
		return nil, nil, err
	}
	settings, err := http.settings(repl)
	if err != nil {
		return nil, nil, err
	}
	connection, err := http.fingerprint(repl)
	if err != nil {
		return nil, nil, err
	}
	names := append([]string{address}, connection...)
	pooled := taken.loadOrNew("keys\x00"+delegation.Fingerprint(names), func() caddy.Destructor {
		keys := jwks.NewRemoteKeySet(address, settings.Client())
		keys.ClientNetwork, keys.Report = clientNetwork, logUnusedKeys
		return pooledKeySet{keys}
	})
	return pooled.(pooledKeySet), names, nil
}

// maxLoggedKeys is how many keys one line of the log names.
const maxLoggedKeys = 10

// logUnusedKeys tells of the keys of a set that are not used, in one line. That one
// is for encryption is as it should be. The keys themselves are not told.
func logUnusedKeys(address string, passed []jwks.UnusedKey) {
	log, message := caddy.Log().Named("delegate").Info, "some keys of the issuer are not used: they are for something else"
	var keys []string
	for i, key := range passed {
		if !key.Intended {
			log, message = caddy.Log().Named("delegate").Warn, "some keys of the issuer cannot be used: sessions that they sign are refused"
		}
		if i < maxLoggedKeys {
			keys = append(keys, fmt.Sprintf("%q: %s", key.KeyID, key.Reason))
		}
	}
	if more := len(passed) - maxLoggedKeys; more > 0 {
		keys = append(keys, fmt.Sprintf("and %d more", more))
	}
	log(message, zap.String("jwks", address), zap.Strings("keys", keys))
}
