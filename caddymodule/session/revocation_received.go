// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"slices"
	"time"
)

// receivedRevocation is a revocation with the times at which this process received its
// parts. Remote sessions are from this process's own clock, and are compared with those.
type receivedRevocation struct {
	Revocation
	receivedAt, noSessionIDReceivedAt time.Time
	sessionsReceivedAt                []time.Time // of each of Sessions
}

// covers tells whether a time revokes a session: a signed one that was issued until
// then, a remote one for which the server has vouched until the time was received.
func covers(s *Session, at, receivedAt time.Time) bool {
	if at.IsZero() {
		return false
	}
	if s.remote {
		return !s.IssuedBefore.After(receivedAt)
	}
	return !s.IssuedBefore.After(at)
}

// revokes tells whether the record revokes a session of its target.
func (r *receivedRevocation) revokes(s *Session) bool {
	if covers(s, r.At, r.receivedAt) || s.ID == "" && covers(s, r.NoSessionID, r.noSessionIDReceivedAt) {
		return true
	}
	for i := range r.Sessions {
		switch one := &r.Sessions[i]; {
		case one.ID != "" && one.ID == s.ID:
			// A server that is asked after a logout knows of it, and an app may keep
			// a `sid` when its user signs in anew: a later answer counts. A signed
			// session stays revoked.
			if !s.remote || covers(s, one.At, r.sessionsReceivedAt[i]) {
				return true
			}
		case one.Digest != "" && one.Digest == s.digest && !s.remote:
			return true
		}
	}
	return false
}

// merge adds a revocation of the same target that is received now, and tells whether
// that has changed anything.
func (r *receivedRevocation) merge(other *Revocation, now time.Time) (changed bool) {
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

// addSession adds a revoked session, and tells whether that has changed anything.
func (r *receivedRevocation) addSession(s RevokedSession, now time.Time) bool {
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

// prune drops the sessions that At covers and those that have expired. If more than
// maxRevokedSessions are left it moves At forward until no more are.
func (r *receivedRevocation) prune(now time.Time) {
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

// laterOf returns the later of two times.
func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
