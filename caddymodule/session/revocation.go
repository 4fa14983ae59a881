// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxRevokedSessions is how many single sessions a person's revocation lists. For more
// its moment moves forward, just as far as it has to.
const maxRevokedSessions = 8

// RevocationTarget is what a revocation is about: a person (Realm and Subject), or one
// session of whom it is not known whose it is: by `sid` (Realm and SessionID),
// or by its digest. The zero Name is everybody.
type RevocationTarget struct {
	Realm     string `json:"realm,omitempty"`
	Subject   string `json:"subject,omitempty"`
	SessionID string `json:"sid,omitempty"`
	Digest    string `json:"digest,omitempty"`
}

// PersonTarget is the name of a person; the zero person is everybody.
func PersonTarget(who delegation.Person) RevocationTarget {
	return RevocationTarget{Realm: who.Realm, Subject: who.Subject}
}

// singleSession tells whether it is one session, and nobody's.
func (n RevocationTarget) singleSession() bool { return n.Subject == "" && n != RevocationTarget{} }

// Revocation is all that is revoked by one name. Two of the same name merge:
// the later moments count, and all of the sessions.
type Revocation struct {
	RevocationTarget
	// At revokes the sessions that were issued until then.
	At time.Time `json:"at,omitzero"`
	// NoSessionID does the same to those without a `sid`: any of them may be
	// the one that an issuer has named.
	NoSessionID time.Time `json:"no_sid,omitzero"`
	// Sessions are revoked although they were issued after At.
	Sessions []RevokedSession `json:"sessions,omitempty"`
}

// RevokedSession is one of a person's sessions, by `sid` or by digest.
type RevokedSession struct {
	ID           string    `json:"sid,omitempty"`
	Digest       string    `json:"digest,omitempty"`
	At           time.Time `json:"at"`
	IssuedBefore time.Time `json:"issued"`  // not later than this: a moment from then on covers it
	Expires      time.Time `json:"expires"` // it need not be known any longer
}

func (s *RevokedSession) sameSession(other *RevokedSession) bool {
	return s.ID == other.ID && s.Digest == other.Digest
}

// Expires is when nothing of it matters any more.
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

// Parts are revocations that merge to it, each of one moment or one session.
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

// CoveringTime is the moment that covers all of it.
func (r *Revocation) CoveringTime() time.Time {
	at := r.At
	for i := range r.Sessions {
		at = laterOf(at, r.Sessions[i].IssuedBefore)
	}
	return at
}

// revocationRecord is a revocation as this process knows it. What somebody was asked is
// by this process's clock, and so are the moments that such sessions are
// compared with: when it heard.
type revocationRecord struct {
	Revocation
	receivedAt, noSessionIDReceivedAt time.Time
	sessionsReceivedAt                []time.Time // of each of Sessions
}

// covers tells whether a session was issued before a moment; asked, before it
// was heard of.
func covers(s *Session, at, heard time.Time) bool {
	if at.IsZero() {
		return false
	}
	if s.remote {
		return !s.IssuedBefore.After(heard)
	}
	return !s.IssuedBefore.After(at)
}

// revokes tells whether a session is among what is revoked.
func (r *revocationRecord) revokes(s *Session) bool {
	if covers(s, r.At, r.receivedAt) || s.ID == "" && covers(s, r.NoSessionID, r.noSessionIDReceivedAt) {
		return true
	}
	for i := range r.Sessions {
		switch one := &r.Sessions[i]; {
		case one.ID != "" && one.ID == s.ID:
			// Who is asked after a logout knows of it. Where they say that
			// somebody is signed in, that is so: an app may keep a session's
			// name when somebody signs in anew. What is signed stays revoked.
			if !s.remote || covers(s, one.At, r.sessionsReceivedAt[i]) {
				return true
			}
		case one.Digest != "" && one.Digest == s.digest && !s.remote:
			return true
		}
	}
	return false
}

// merge adds a revocation of the same name, and tells whether that changed
// anything.
func (r *revocationRecord) merge(other *Revocation, now time.Time) (changed bool) {
	if other.At.After(r.At) {
		r.At, r.receivedAt, changed = other.At, now, true
	}
	if other.NoSessionID.After(r.NoSessionID) {
		r.NoSessionID, r.noSessionIDReceivedAt, changed = other.NoSessionID, now, true
	}
	for _, s := range other.Sessions {
		if s.IssuedBefore.After(r.At) && s.Expires.After(now) && r.addSession(s, now) {
			changed = true
		}
	}
	if changed {
		r.prune(now)
	}
	return changed
}

func (r *revocationRecord) addSession(s RevokedSession, now time.Time) bool {
	i := slices.IndexFunc(r.Sessions, func(known RevokedSession) bool { return known.sameSession(&s) })
	if i < 0 {
		r.Sessions, r.sessionsReceivedAt = append(r.Sessions, s), append(r.sessionsReceivedAt, now)
		return true
	}
	known := &r.Sessions[i]
	if !s.At.After(known.At) {
		return false
	}
	known.At, known.IssuedBefore, known.Expires = s.At, laterOf(s.IssuedBefore, known.IssuedBefore), laterOf(s.Expires, known.Expires)
	r.sessionsReceivedAt[i] = now
	return true
}

// prune drops sessions that need not be listed, and lists no more than it may.
func (r *revocationRecord) prune(now time.Time) {
	keep := func() {
		n := 0
		for i, s := range r.Sessions {
			if s.IssuedBefore.After(r.At) && s.Expires.After(now) {
				r.Sessions[n], r.sessionsReceivedAt[n] = s, r.sessionsReceivedAt[i]
				n++
			}
		}
		r.Sessions, r.sessionsReceivedAt = slices.Delete(r.Sessions, n, len(r.Sessions)), r.sessionsReceivedAt[:n]
	}
	for keep(); len(r.Sessions) > maxRevokedSessions; keep() {
		first := slices.MinFunc(r.Sessions, func(a, b RevokedSession) int {
			return cmp.Compare(a.IssuedBefore.UnixNano(), b.IssuedBefore.UnixNano())
		})
		r.At, r.receivedAt = first.IssuedBefore, now
	}
	if len(r.Sessions) == 0 {
		r.Sessions, r.sessionsReceivedAt = nil, nil
	}
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
