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
	// leeway is how far the issuer's clock may be off.
	leeway = 30 * time.Second

	// MaxAge is how old a token may be. A logout is remembered for as long.
	MaxAge = 30 * 24 * time.Hour
)

// JWT verifies sessions that are signed JSON Web Tokens, as RFC 8725 has it:
// algorithms are not the token's choice, issuer and audience have to be right,
// and no key is taken from a token. It implements [Verifier].
type JWT struct {
	// Issuer is what `iss` has to be. Empty: it does not matter, as the keys are
	// this app's alone.
	Issuer string
	// Realm is the namespace of the subjects, if they are not named by `sub` of
	// the issuer. Empty: the issuer.
	Realm string
	// Audiences are those of which AudienceClaim has to name one. Empty: it does
	// not matter, as the keys are this app's alone.
	Audiences []string
	// AudienceClaim is where the token names whom it is for. Empty: `aud`.
	AudienceClaim string
	// SubjectClaim is where it names the user: a claim, or a path. Empty: `sub`.
	SubjectClaim string
	// Lifetime is from the issue of a token to its end. It serves where a token
	// tells one of `iat` and `exp` only. Zero: both are required.
	Lifetime time.Duration
	// Algorithms are what may have been used, none else. They have to fit the
	// keys: see [jwks.SymmetricAlgorithms] and [jwks.AsymmetricAlgorithms].
	Algorithms []jose.SignatureAlgorithm
	// Type is what the header `typ` has to be, such as at+jwt. Empty: JWT,
	// at+jwt or nothing.
	Type string
	// Keys are the issuer's.
	Keys jwks.KeySet
}

// defaultTypes are what a session may say it is. A logout token or a proof of
// possession is signed by the same key, and is none (RFC 8725 section 3.11).
var defaultTypes = []string{"", "jwt", "at+jwt"}

// forbiddenHeaders are header fields by which a token would choose the key or the
// rules it is verified by.
var forbiddenHeaders = []jose.HeaderKey{"jku", "x5u", "crit", "b64", "zip", "enc", "epk"}

// Verify implements [Verifier].
func (j *JWT) Verify(ctx context.Context, credential Credential) (*Session, error) {
	text := credential.Text
	// Read before it is verified as well: the issuer need not be asked for a key
	// by which a session would be signed that has expired, or is for another app.
	d, err := j.verifySigned(ctx, text, j.types(), func(d claims) error {
		_, err := j.checkClaims(d)
		return err
	})
	if err != nil {
		return nil, err
	}
	s, err := j.checkClaims(d)
	if err != nil {
		return nil, refuse("JWT: " + err.Error())
	}
	s.digest = sessionDigest(text[:strings.LastIndexByte(text, '.')])
	return s, nil
}

func (j *JWT) types() []string {
	if j.Type != "" {
		return []string{mediaType(j.Type)}
	}
	return defaultTypes
}

// maxJWTHeader is more than any header needs that brings no key.
const maxJWTHeader = 2 << 10

// isCanonical tells whether a token is written in the only way there is: what
// a decoder passes over, or bits that it drops, would be other names of the
// same session.
func isCanonical(token string) bool {
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
		// Line breaks would be passed over.
		if strings.ContainsAny(part, "\r\n") {
			return false
		}
		if _, err := base64.RawURLEncoding.Strict().Decode(into, []byte(part)); err != nil {
			return false
		}
	}
	return true
}

// mediaType compares as RFC 7515 section 4.1.9 has it.
func mediaType(name string) string { return strings.TrimPrefix(strings.ToLower(name), "application/") }

// verifySigned verifies the signature and returns what was signed. worth says why a
// token is worth nothing whoever has signed it, and must believe none of it.
func (j *JWT) verifySigned(ctx context.Context, text string, types []string, worth func(claims) error) (claims, error) {
	token, err := j.parse(text, types)
	if err != nil {
		return nil, err
	}
	d, err := decodeClaims(token.UnsafePayloadWithoutVerification())
	if err == nil && worth != nil {
		err = worth(d)
	}
	if err != nil {
		return nil, refuse("JWT: " + err.Error())
	}
	payload, err := j.Keys.VerifySignature(ctx, token)
	if err != nil {
		return nil, err
	}
	if d, err = decodeClaims(payload); err != nil {
		return nil, refuse("JWT: " + err.Error())
	}
	return d, nil
}

// parse reads a token whose header lets its signature be verified.
func (j *JWT) parse(text string, types []string) (*jose.JSONWebSignature, error) {
	// Counted before anything is decoded: parsers have spent megabytes on dots
	// (CVE-2025-22868).
	if len(text) > maxCredential || strings.Count(text, ".") != 2 || !isCanonical(text) {
		return nil, refuse("it is no JWT")
	}
	token, err := jose.ParseSignedCompact(text, j.Algorithms)
	if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
		return nil, refuse("JWT: the algorithm is not among those that are allowed")
	}
	if err != nil || len(token.Signatures) != 1 {
		return nil, refuse("it is no JWT")
	}
	header := token.Signatures[0].Protected
	if header.JSONWebKey != nil {
		return nil, refuse("JWT: it brings a key of its own")
	}
	for _, name := range forbiddenHeaders {
		if _, ok := header.ExtraHeaders[name]; ok {
			return nil, refuse("JWT: the header " + string(name) + " is not allowed")
		}
	}
	kind, ok := header.ExtraHeaders[jose.HeaderType].(string)
	if _, given := header.ExtraHeaders[jose.HeaderType]; given && !ok {
		return nil, refuse("JWT: typ is no string")
	}
	if !slices.Contains(types, mediaType(kind)) {
		return nil, refuse("JWT: it is of another type")
	}
	return token, nil
}
