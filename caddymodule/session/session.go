// SPDX-License-Identifier: Apache-2.0

// Package session verifies the sessions of an app. A session comes with a request
// as a [Credential]; a [Verifier] returns whose it is ([Session]), because a key has
// signed it ([JWT]) or because a server says so ([Introspection], [Endpoint]).
// [Revocations] are what a logout leaves behind.
package session

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Session is the verified session of a user. Its exported fields do not change
// after Verify has returned it: requests share it.
type Session struct {
	// Realm is the namespace of the subject: the issuer, or a configured name.
	// Subjects are unique per realm only.
	Realm string
	// Subject is the user's name in the realm. It is never empty.
	Subject string
	// ID is the issuer's name of this one session (`sid`); empty if there is none.
	ID string
	// IssuedBefore is the latest time at which the session may have been issued. A
	// revocation from then on covers it. Zero if that is not known: any covers it.
	IssuedBefore time.Time
	// Expires is the end of the session; zero if the issuer does not tell it.
	Expires time.Time

	claims claims // what else the issuer says; may be nil

	// digest names the session to other machines where ID does not. It is that of
	// the signed text without the signature, which can be written in many ways.
	digest string

	// remote is whether a server has vouched for the session, at IssuedBefore. Its
	// next answer may be another one, while a signature says the same for ever.
	remote bool

	// issuer is the issuer where the realm has another name; otherwise empty.
	issuer string

	identities     atomic.Pointer[[]*sessionIdentity] // under which revocations are looked up
	checkedAliases atomic.Pointer[[]Alias]            // the configured ones among them
}

// Claim returns a claim by its name, or by name.name in an object, as text: a
// string, a number as it is written, true or false. ok is false for any other type,
// and if there is none.
func (s *Session) Claim(path string) (text string, ok bool) {
	if s.claims == nil {
		return "", false
	}
	return formatScalar(s.claims.value(path))
}

// Remote tells whether a server has vouched for the session, which may answer
// differently the next time. Otherwise the session is signed.
func (s *Session) Remote() bool { return s.remote }

// expired tells whether the end of the session has passed.
func (s *Session) expired(now time.Time) bool { return !s.Expires.IsZero() && !now.Before(s.Expires) }

// applyLeeway moves the end of a session by the leeway for clocks, and returns the
// session; a refusal if it has expired even so.
func (s *Session) applyLeeway(now time.Time) (*Session, error) {
	if s.Expires.IsZero() {
		return s, nil
	}
	if s.Expires = s.Expires.Add(leeway); s.expired(now) {
		return nil, refuseCredential("the session has expired")
	}
	return s, nil
}

// Verifier verifies credentials. It is safe for concurrent use.
type Verifier interface {
	// Verify returns the session of a credential, which the caller must not change.
	// The error is a [*delegation.Refusal]: session_required if the credential is no
	// valid session, session_unavailable if that cannot be told now.
	Verify(ctx context.Context, credential Credential) (*Session, error)
}

// refuseCredential returns the refusal of a credential that is no valid session. The reason
// is for the operator's log and quotes nothing of the credential.
func refuseCredential(reason string) *delegation.Refusal {
	return delegation.Refuse(delegation.SessionRequired, errors.New(reason))
}

// unavailable returns the refusal of a credential that cannot be judged now.
func unavailable(cause error) *delegation.Refusal {
	return delegation.Refuse(delegation.SessionUnavailable, cause)
}
