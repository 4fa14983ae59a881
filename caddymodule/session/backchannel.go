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
	// logoutEvent is what makes a token a logout token.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	// maxLogoutTokenAge is how old a logout token may be. Issuers send it at once.
	maxLogoutTokenAge = 5 * time.Minute

	maxLogoutTokens = 100_000
)

// logoutTypes are what a logout token may say it is. Older issuers say
// nothing; the event and the missing nonce tell it from an ID token.
var logoutTypes = []string{"", "jwt", "logout+jwt"}

// LogoutVerifier reads the logout tokens by which an issuer tells that it has
// signed somebody out (OpenID Connect Back-Channel Logout 1.0 section 2.4).
type LogoutVerifier struct {
	jwt     *JWT
	usedIDs *lru.Cache[string, struct{}] // `jti` of those that came before
}

// NewLogoutVerifier returns one for the tokens of an issuer, who signs them as its
// sessions. Type of j does not matter.
func NewLogoutVerifier(j *JWT) *LogoutVerifier {
	return &LogoutVerifier{jwt: j, usedIDs: lru.New[string, struct{}](maxLogoutTokens)}
}

// LogoutToken is what a logout token says: whose sessions have ended, or which one.
type LogoutToken struct {
	Issuer   string
	Subject  string // may be empty
	ID       string // `sid`; may be empty
	IssuedAt time.Time

	allowAgain func() // has the same token taken once more
}

// Revoke revokes what has ended, of sessions in a realm: the session of the
// name, and those of the same user that have no name, of which any may be it;
// or else all of theirs. The error is a refusal: there is no room.
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

// Verify verifies a logout token (section 2.6). The error is a refusal: of code
// session_required if it is none, session_unavailable if that cannot be told now.
func (b *LogoutVerifier) Verify(ctx context.Context, text string) (*LogoutToken, error) {
	d, err := b.jwt.verifySigned(ctx, text, logoutTypes, nil)
	if err != nil {
		return nil, err
	}
	l, err := b.validate(d)
	if err != nil {
		return nil, refuse("logout token: " + err.Error())
	}
	return l, nil
}

func (b *LogoutVerifier) validate(d claims) (l *LogoutToken, err error) {
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
	case l.Issuer != b.jwt.Issuer:
		return nil, errors.New("iss is another issuer")
	case !intersects(audiences, b.jwt.Audiences):
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
	// Who has recorded it must not sign the user out again and again.
	name := sessionDigest(id)
	if _, again := b.usedIDs.Get(name, name, now); again {
		return nil, errors.New("it came before")
	}
	b.usedIDs.Set(name, name, struct{}{}, maxLogoutTokenAge+2*leeway, false)
	l.allowAgain = func() { b.usedIDs.Delete(name, name) }
	return l, nil
}
