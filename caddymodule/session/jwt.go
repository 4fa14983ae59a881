// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/jwks"
)

const (
	// leeway is how far the clocks of issuer and server may differ.
	leeway = 30 * time.Second

	// MaxAge is the age up to which a token is valid, whatever end it tells. A
	// revocation is remembered for as long.
	MaxAge = 30 * 24 * time.Hour
)

// JWT verifies sessions that are signed JSON Web Tokens, by the rules of RFC 8725:
// the algorithm is not the token's choice, issuer and audience have to be right, and
// no key is taken from a token. It implements [Verifier].
type JWT struct {
	// Issuer is the value that `iss` must have. Empty: any, for keys that sign this
	// app's sessions and nothing else.
	Issuer string
	// Realm is the namespace of the subjects where they are not named by the
	// issuer's `sub`. Empty: the issuer.
	Realm string
	// Audiences are the values of which AudienceClaim must have one. Empty: any, for
	// keys that sign this app's sessions and nothing else.
	Audiences []string
	// AudienceClaim is the claim, or path, of the audience. Empty: `aud`.
	AudienceClaim string
	// SubjectClaim is the claim, or path, of the user. Empty: `sub`.
	SubjectClaim string
	// Lifetime is the time from the issue of a token to its end. It is used where a
	// token has only one of `iat` and `exp`. Zero: both are required.
	Lifetime time.Duration
	// Algorithms are the signature algorithms that are accepted. They have to fit the
	// keys: see [jwks.SymmetricAlgorithms] and [jwks.AsymmetricAlgorithms].
	Algorithms []jose.SignatureAlgorithm
	// Type is the value that the header `typ` must have, such as at+jwt, in either
	// case. Empty: JWT, at+jwt or no `typ`.
	Type string
	// Keys are those of the issuer.
	Keys jwks.KeySet
}

// defaultTypes are the values of `typ` that a session may have. Logout tokens and
// proofs of possession may be signed by the same key, and are no sessions (RFC 8725
// section 3.11).
var defaultTypes = []string{"", "jwt", "at+jwt"}

// forbiddenHeaders are the header fields by which a token would choose the key or the
// rules that it is verified by.
var forbiddenHeaders = []jose.HeaderKey{"jku", "x5u", "crit", "b64", "zip", "enc", "epk"}

// Verify implements [Verifier].
func (j *JWT) Verify(ctx context.Context, credential Credential) (*Session, error) {
	text := credential.Text
	// The claims are checked before the signature as well: the issuer need not be
	// asked for the key of a token that has expired, or is for another app.
	d, err := j.verifySigned(ctx, text, j.types(), func(d claims) error {
		_, err := j.checkClaims(d)
		return err
	})
	if err != nil {
		return nil, err
	}
	s, err := j.checkClaims(d)
	if err != nil {
		return nil, refuseCredential("JWT: " + err.Error())
	}
	s.digest = sessionDigest(text[:strings.LastIndexByte(text, '.')])
	return s, nil
}

// Settings returns all that a session depends on, but for the keys, which have no
// printable form here: a cache of sessions is shared by verifiers with the same settings
// alone.
func (j *JWT) Settings() [][]string {
	algorithms := make([]string, len(j.Algorithms))
	for i, algorithm := range j.Algorithms {
		algorithms[i] = string(algorithm)
	}
	return [][]string{{"jwt", j.Issuer, j.Realm, j.AudienceClaim, j.SubjectClaim, j.Lifetime.String(), j.Type}, j.Audiences, algorithms}
}

// types returns the accepted values of `typ`, as mediaType writes them.
func (j *JWT) types() []string {
	if j.Type != "" {
		return []string{mediaType(j.Type)}
	}
	return defaultTypes
}

// maxJWTHeader is the length of an encoded header, in bytes: more than any needs that
// has no key in it.
const maxJWTHeader = 2 << 10

// isCanonicalJWT tells whether a token has the one spelling that there is of it. Line
// breaks that a decoder passes over, and bits that it drops, would be other names of
// the same session: a cache and a revocation would miss it.
func isCanonicalJWT(token string) bool {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if len(header) > maxJWTHeader {
		return false
	}
	for _, part := range [...]string{header, payload, signature} {
		var space [4 << 10]byte // enough for most, without an allocation
		into := space[:]
		if n := base64.RawURLEncoding.DecodedLen(len(part)); n > len(into) {
			into = make([]byte, n)
		}
		if strings.ContainsAny(part, "\r\n") {
			return false
		}
		if _, err := base64.RawURLEncoding.Strict().Decode(into, []byte(part)); err != nil {
			return false
		}
	}
	return true
}

// mediaType returns a `typ` in the form in which it is compared (RFC 7515 section
// 4.1.9).
func mediaType(name string) string { return strings.TrimPrefix(strings.ToLower(name), "application/") }

// verifySigned verifies the signature of a token and returns its claims. precheck may
// refuse a token before, by claims that nobody has verified; it may be nil.
func (j *JWT) verifySigned(ctx context.Context, text string, types []string, precheck func(claims) error) (claims, error) {
	token, err := j.parse(text, types)
	if err != nil {
		return nil, err
	}
	d, err := decodeClaims(token.UnsafePayloadWithoutVerification())
	if err == nil && precheck != nil {
		err = precheck(d)
	}
	if err != nil {
		return nil, refuseCredential("JWT: " + err.Error())
	}
	payload, err := j.Keys.VerifySignature(ctx, token)
	if err != nil {
		return nil, err
	}
	if d, err = decodeClaims(payload); err != nil {
		return nil, refuseCredential("JWT: " + err.Error())
	}
	return d, nil
}

// parse returns a token whose header is acceptable. Its signature is not verified.
func (j *JWT) parse(text string, types []string) (*jose.JSONWebSignature, error) {
	// The parts are counted before anything is decoded: parsers have spent megabytes
	// on dots (CVE-2025-22868).
	if len(text) > maxCredential || strings.Count(text, ".") != 2 || !isCanonicalJWT(text) {
		return nil, refuseCredential("it is no JWT")
	}
	token, err := jose.ParseSignedCompact(text, j.Algorithms)
	if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
		return nil, refuseCredential("JWT: the algorithm is not among those that are allowed")
	}
	if err != nil || len(token.Signatures) != 1 {
		return nil, refuseCredential("it is no JWT")
	}
	header := token.Signatures[0].Protected
	if header.JSONWebKey != nil {
		return nil, refuseCredential("JWT: it brings a key of its own")
	}
	for _, name := range forbiddenHeaders {
		if _, ok := header.ExtraHeaders[name]; ok {
			return nil, refuseCredential("JWT: the header " + string(name) + " is not allowed")
		}
	}
	kind, ok := header.ExtraHeaders[jose.HeaderType].(string)
	if _, given := header.ExtraHeaders[jose.HeaderType]; given && !ok {
		return nil, refuseCredential("JWT: typ is no string")
	}
	if !slices.Contains(types, mediaType(kind)) {
		return nil, refuseCredential("JWT: it is of another type")
	}
	return token, nil
}
