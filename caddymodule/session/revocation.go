// SPDX-License-Identifier: Apache-2.0

package session

import (
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxRevokedSessions is how many single sessions a person's revocation lists. For more,
// its time moves forward, just as far as it has to.
const maxRevokedSessions = 8

// RevocationTarget is whose sessions a revocation is about: those of a person (Realm and
// Subject), or one session of an unknown person, by its `sid` (Realm and SessionID) or
// by its Digest. The zero target is everybody.
type RevocationTarget struct {
	Realm     string `json:"realm,omitempty"`
	Subject   string `json:"subject,omitempty"`
	SessionID string `json:"sid,omitempty"`
	Digest    string `json:"digest,omitempty"`
}

// PersonTarget returns the target of a person; the zero person is everybody.
func PersonTarget(who delegation.Person) RevocationTarget {
	return RevocationTarget{Realm: who.Realm, Subject: who.Subject}
}

// singleSession tells whether the target is one session of an unknown person.
func (t RevocationTarget) singleSession() bool { return t.Subject == "" && t != RevocationTarget{} }

// Revocation is all that is revoked of one target. Two of the same target merge: the
// later times count, and the sessions of both, in any order and however often.
type Revocation struct {
	RevocationTarget
	// At is the time until which sessions are revoked by their time of issue.
	At time.Time `json:"at,omitzero"`
	// NoSessionID is the same for sessions without a `sid`: each of them may be the
	// one that an issuer has named.
	NoSessionID time.Time `json:"no_sid,omitzero"`
	// Sessions are revoked though they tell a time of issue after At.
	Sessions []RevokedSession `json:"sessions,omitempty"`
}

// RevokedSession is one revoked session of a person, by its `sid` or by its digest.
type RevokedSession struct {
	ID           string    `json:"sid,omitempty"`
	Digest       string    `json:"digest,omitempty"`
	At           time.Time `json:"at"`
	IssuedBefore time.Time `json:"issued"`  // the latest time of issue: At from then on covers it
	Expires      time.Time `json:"expires"` // from then on it need not be listed
}

// sameSession tells whether both name the same session.
func (s *RevokedSession) sameSession(other *RevokedSession) bool {
	return s.ID == other.ID && s.Digest == other.Digest
}

// Expires returns the time from which the revocation matters no longer: what it covers
// has expired by itself.
func (r *Revocation) Expires() time.Time {
	var end time.Time
	for _, at := range []time.Time{r.At, r.NoSessionID} {
		if !at.IsZero() {
			end = laterOf(end, at.Add(MaxAge+leeway))
		}
	}
	for i := range r.Sessions {
		end = laterOf(end, r.Sessions[i].Expires)
	}
	return end
}

// Parts returns revocations that merge to this one, each of one time or one session.
func (r *Revocation) Parts() []Revocation {
	var parts []Revocation
	if !r.At.IsZero() {
		parts = append(parts, Revocation{RevocationTarget: r.RevocationTarget, At: r.At})
	}
	if !r.NoSessionID.IsZero() {
		parts = append(parts, Revocation{RevocationTarget: r.RevocationTarget, NoSessionID: r.NoSessionID})
	}
	for _, s := range r.Sessions {
		parts = append(parts, Revocation{RevocationTarget: r.RevocationTarget, Sessions: []RevokedSession{s}})
	}
	return parts
}

// CoveringTime returns the time which, as At, would cover all that is revoked, and
// perhaps more.
func (r *Revocation) CoveringTime() time.Time {
	at := r.At
	for i := range r.Sessions {
		at = laterOf(at, r.Sessions[i].IssuedBefore)
	}
	return at
}
