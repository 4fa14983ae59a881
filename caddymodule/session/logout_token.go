// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// logoutEvent is the member of `events` that makes a token a logout token.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	// maxLogoutTokenAge is the age up to which a logout token is valid. Issuers send
	// it at once.
	maxLogoutTokenAge = 5 * time.Minute

	maxLogoutTokens = 100_000
)

// logoutTypes are the values of `typ` that a logout token may have. Older issuers
// have none; the event and the missing nonce tell it from an ID token.
var logoutTypes = []string{"", "jwt", "logout+jwt"}

// LogoutVerifier verifies logout tokens, by which an issuer tells that it has signed
// somebody out (OpenID Connect Back-Channel Logout 1.0). It accepts each once.
type LogoutVerifier struct {
	jwt     *JWT
	usedIDs *lru.Cache[string, struct{}] // digests of `jti`
}

// NewLogoutVerifier returns a verifier for the issuer, audiences, algorithms and keys
// of j. The other fields of j are not used.
func NewLogoutVerifier(j *JWT) *LogoutVerifier {
	return &LogoutVerifier{jwt: j, usedIDs: lru.New[string, struct{}](maxLogoutTokens)}
}

// LogoutToken is a verified logout token (section 2.4). One of Subject and ID is set,
// or both.
type LogoutToken struct {
	Issuer   string
	Subject  string // `sub`
	ID       string // `sid`
	IssuedAt time.Time

	allowAgain func() // lets the same token be accepted once more
}

// Revoke revokes sessions of a realm, and returns what has changed. If the token
// has a `sid`, they are the session with it and those of the same user without any,
// each of which may be the one; otherwise they are all of the user. The error is a
// refusal: there is no room for another revocation.
func (l *LogoutToken) Revoke(r *Revocations, realm string) ([]RevocationTarget, error) {
	if l.ID == "" {
		return r.RevokeAt(delegation.Person{Realm: realm, Subject: l.Subject}, l.IssuedAt), nil
	}
	names, err := r.RevokeSession(realm, l.Subject, l.ID, l.IssuedAt)
	if err != nil {
		if l.allowAgain != nil {
			l.allowAgain() // who is told so may try again
		}
		return nil, unavailable(err)
	}
	return names, nil
}

// Verify verifies a logout token (section 2.6). The error is a refusal:
// session_required if it is not valid, session_unavailable if that cannot be told now.
func (v *LogoutVerifier) Verify(ctx context.Context, text string) (*LogoutToken, error) {
	d, err := v.jwt.verifySigned(ctx, text, logoutTypes, nil)
	if err != nil {
		return nil, err
	}
	l, err := v.validate(d)
	if err != nil {
		return nil, refuseCredential("logout token: " + err.Error())
	}
	return l, nil
}

// validate checks the claims of a token whose signature is verified, and records its
// `jti`.
func (v *LogoutVerifier) validate(d claims) (l *LogoutToken, err error) {
	l = &LogoutToken{}
	l.Issuer = readClaim(&err, d.text, "iss")
	l.Subject = readClaim(&err, d.optionalSubject, "sub")
	l.ID = readClaim(&err, d.text, "sid")
	id := readClaim(&err, d.text, "jti")
	audiences := readClaim(&err, d.strings, "aud")
	issued := readClaim(&err, d.time, "iat")
	l.IssuedAt = issued
	expires := readClaim(&err, d.time, "exp")
	if err != nil {
		return nil, err
	}
	events, _ := d["events"].(map[string]any)
	_, event := events[logoutEvent].(map[string]any)
	_, nonce := d["nonce"]
	now := time.Now()
	switch {
	case l.Issuer != v.jwt.Issuer:
		return nil, errors.New("iss is another issuer")
	case !intersects(audiences, v.jwt.Audiences):
		return nil, errors.New("aud does not name this audience")
	case !event:
		return nil, errors.New("events does not tell of a logout")
	case nonce:
		return nil, errors.New("it has a nonce, as ID tokens do")
	case l.Subject == "" && l.ID == "":
		return nil, errors.New("neither sub nor sid tells who")
	case id == "":
		return nil, errors.New("jti is missing")
	case issued.IsZero() || now.Before(issued.Add(-leeway)) || now.Sub(issued) > maxLogoutTokenAge:
		return nil, errors.New("it was not issued just now")
	case !expires.IsZero() && !now.Before(expires.Add(leeway)):
		return nil, errors.New("it has expired")
	}
	// Whoever has recorded a token must not sign the user out again and again.
	name := sessionDigest(id)
	if _, again := v.usedIDs.Get(name, name, now); again {
		return nil, errors.New("it came before")
	}
	v.usedIDs.Set(name, name, struct{}{}, maxLogoutTokenAge+2*leeway, false)
	l.allowAgain = func() { v.usedIDs.Delete(name, name) }
	return l, nil
}
