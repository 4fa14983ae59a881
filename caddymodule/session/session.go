// SPDX-License-Identifier: Apache-2.0

// Package session verifies the sessions of an app: who is signed in, as a
// credential says that the request carries.
package session

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Session is who is signed in, as verified.
type Session struct {
	// Realm is the namespace of the subject: who vouches for the session, or a
	// configured name. Subjects are unique per realm only.
	Realm string
	// Subject is the user's name. Never empty.
	Subject string
	// ID is the issuer's name of this one session (`sid`), if it says.
	ID string
	// IssuedBefore is the latest moment at which its issuer may have issued it:
	// what a revocation after it revokes. Zero if that is not known: any does.
	IssuedBefore time.Time
	// Expires is when it ends; zero if the issuer does not say.
	Expires time.Time
	claims  claims // what else the issuer says

	// digest names the session where its issuer does not: of what was signed,
	// because a signature can be written in more than one way.
	digest string

	// remote is whether somebody was asked, at IssuedBefore. Their next answer may
	// be another one, while a signature says the same for ever.
	remote bool

	// issuer is another name of the realm, if there is one.
	issuer     string
	identities atomic.Pointer[[]*sessionIdentity] // the names that it is used by

	checkedAliases atomic.Pointer[[]Alias] // those of them that are configured
}

// Claim returns what the issuer says by a name, or by name.name in an object: a
// string, a number as it is written, true or false. What is none of these is
// not there.
func (s *Session) Claim(path string) (text string, ok bool) {
	if s.claims == nil {
		return "", false
	}
	return formatScalar(s.claims.value(path))
}

// Remote tells whether somebody was asked about the session, who may say
// something else the next time. Otherwise it is signed.
func (s *Session) Remote() bool { return s.remote }

// expired tells whether the session has ended by itself.
func (s *Session) expired(now time.Time) bool { return !s.Expires.IsZero() && !now.Before(s.Expires) }

// applyLeeway gives the end of a session its leeway, and returns the session if it
// has not ended.
func (s *Session) applyLeeway(now time.Time) (*Session, error) {
	if s.Expires.IsZero() {
		return s, nil
	}
	if s.Expires = s.Expires.Add(leeway); s.expired(now) {
		return nil, refuse("the session has expired")
	}
	return s, nil
}

// Verifier tells whose session a credential is. It is safe for concurrent use.
type Verifier interface {
	// Verify returns the session, which the caller must not change. The error
	// is a refusal: session_required if the credential is worth nothing,
	// session_unavailable if that cannot be told now.
	Verify(ctx context.Context, credential Credential) (*Session, error)
}

// refuse says why a credential is worth nothing. The reason is for the
// operator's log and quotes nothing of it.
func refuse(reason string) *delegation.Refusal {
	return delegation.Refuse(delegation.SessionRequired, errors.New(reason))
}

func unavailable(cause error) *delegation.Refusal {
	return delegation.Refuse(delegation.SessionUnavailable, cause)
}
