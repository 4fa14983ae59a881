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
)

const (
	// leeway is how far the issuer's clock may be off.
	leeway = 30 * time.Second

	// MaxAge is how old a token may be. A logout is remembered for as long.
	MaxAge = 30 * 24 * time.Hour
)

// Keys verify signatures.
type Keys interface {
	// Payload returns what a token says if one of the keys has signed it. The
	// error is a refusal.
	Payload(ctx context.Context, token *jose.JSONWebSignature) ([]byte, error)
}

// JWT verifies sessions that are signed JSON Web Tokens, as RFC 8725 has it:
// algorithms are not the token's choice, issuer and audience have to be right,
// and no key is taken from a token. It implements [Verifier].
type JWT struct {
	// Issuer is what `iss` has to be.
	Issuer string
	// Audiences are those of which `aud` has to name one.
	Audiences []string
	// Algorithms are what may have been used, none else. They have to fit the
	// keys: see [Symmetric] and [Asymmetric].
	Algorithms []jose.SignatureAlgorithm
	// Type is what the header `typ` has to be, such as at+jwt. Empty: JWT,
	// at+jwt or nothing.
	Type string
	// Keys are the issuer's.
	Keys Keys
}

// usualTypes are what a session may say it is. A logout token or a proof of
// possession is signed by the same key, and is none (RFC 8725 section 3.11).
var usualTypes = []string{"", "jwt", "at+jwt"}

// dictated are header fields by which a token would choose the key or the
// rules it is verified by.
var dictated = []jose.HeaderKey{"jku", "x5u", "crit", "b64", "zip", "enc", "epk"}

// Verify implements [Verifier].
func (j *JWT) Verify(ctx context.Context, credential Credential) (*Session, error) {
	text := credential.Text
	d, err := j.open(ctx, text, j.types())
	if err != nil {
		return nil, err
	}
	s, err := j.read(d)
	if err != nil {
		return nil, refuse("JWT: " + err.Error())
	}
	s.digest = digestOf(text[:strings.LastIndexByte(text, '.')])
	return s, nil
}

func (j *JWT) types() []string {
	if j.Type != "" {
		return []string{mediaType(j.Type)}
	}
	return usualTypes
}

// maxHeader is more than any header needs that brings no key.
const maxHeader = 2 << 10

// isCanonical tells whether a token is written in the only way there is: what
// a decoder passes over, or bits that it drops, would be other names of the
// same session.
func isCanonical(token string) bool {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	if len(header) > maxHeader {
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

// open verifies the signature and returns what was signed.
func (j *JWT) open(ctx context.Context, text string, types []string) (document, error) {
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
	for _, name := range dictated {
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
	payload, err := j.Keys.Payload(ctx, token)
	if err != nil {
		return nil, err
	}
	d, err := readDocument(payload)
	if err != nil {
		return nil, refuse("JWT: " + err.Error())
	}
	return d, nil
}

// read checks the claims (RFC 7519 section 4.1).
func (j *JWT) read(d document) (s *Session, err error) {
	s = &Session{}
	s.Realm = read(&err, d.text, "iss")
	s.Subject = read(&err, d.subject, "sub")
	s.ID = read(&err, d.text, "sid")
	audiences := read(&err, d.strings, "aud")
	s.Expires = read(&err, d.time, "exp")
	issued := read(&err, d.time, "iat")
	notBefore := read(&err, d.time, "nbf")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	switch {
	case s.Realm != j.Issuer:
		return nil, errors.New("iss is another issuer")
	case !overlap(audiences, j.Audiences):
		return nil, errors.New("aud does not name this audience")
	case d["cnf"] != nil:
		// RFC 7800: only who proves to hold a key may use it, and nobody here
		// asks for the proof.
		return nil, errors.New("it is bound to a key (cnf): issue sessions without")
	case d["events"] != nil:
		return nil, errors.New("it tells of an event, as logout tokens do")
	case s.Expires.IsZero():
		return nil, errors.New("exp is missing")
	case issued.IsZero():
		return nil, errors.New("iat is missing: no logout could tell sessions from before it")
	case !now.Before(s.Expires.Add(leeway)):
		return nil, errors.New("it has expired")
	case now.Before(notBefore.Add(-leeway)), now.Before(issued.Add(-leeway)):
		return nil, errors.New("it is not valid yet")
	case now.Sub(issued) > MaxAge:
		return nil, errors.New("it is older than 30 days")
	}
	s.Expires = s.Expires.Add(leeway)
	if end := issued.Add(MaxAge); end.Before(s.Expires) {
		s.Expires = end // by then a logout is forgotten
	}
	// iat is in whole seconds: who signs in anew right after a logout must not
	// be signed out. Sessions that were seen before it end by their digests.
	s.IssuedBefore = endOfSecond(issued)
	s.claims = d
	return s, nil
}
