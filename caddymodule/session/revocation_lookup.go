// SPDX-License-Identifier: Apache-2.0

package session

import (
	"maps"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// RevokedAs tells whether a session is revoked as that of a person: a directive may
// name its users by a realm of its own, or by another claim. The person becomes one of
// the session's identities. It takes no lock if nothing has changed since the last call.
func (r *Revocations) RevokedAs(s *Session, who delegation.Person) bool {
	changes := r.changes.Load() + 1
	identity := s.identity(who)
	if identity == nil {
		identity = r.registerIdentity(s, who)
	}
	if identity.checkedChanges.Load() == changes {
		return false
	}
	r.mu.RLock()
	revoked := r.isRevoked(s, who)
	r.mu.RUnlock()
	if !revoked {
		identity.checkedChanges.Store(changes)
	}
	return revoked
}

// Revoked tells whether a session is revoked as that of its realm's or issuer's person,
// or by any of its identities.
func (r *Revocations) Revoked(s *Session) bool {
	if r.RevokedAs(s, s.person(s.Realm)) || s.issuer != "" && r.RevokedAs(s, s.person(s.issuer)) {
		return true
	}
	for _, identity := range s.knownIdentities() {
		if r.RevokedAs(s, identity.person) {
			return true
		}
	}
	return false
}

// isRevoked looks up the records that a session of a person may be revoked by. The caller
// holds the lock.
func (r *Revocations) isRevoked(s *Session, who delegation.Person) bool {
	if len(r.records) == 0 {
		return false
	}
	of := func(target RevocationTarget) bool {
		rec := r.records[target]
		return rec != nil && rec.revokes(s)
	}
	if of(RevocationTarget{}) || of(PersonTarget(who)) {
		return true
	}
	if !s.remote && s.digest != "" && r.records[RevocationTarget{Digest: s.digest}] != nil {
		return true
	}
	if s.ID == "" {
		return false
	}
	rec := r.records[RevocationTarget{Realm: who.Realm, SessionID: s.ID}]
	return rec != nil && (!s.remote || covers(s, rec.At, rec.receivedAt))
}

// registerIdentity adds an identity to a session, and records what later revocations of
// the person need to know of the session.
func (r *Revocations) registerIdentity(s *Session, who delegation.Person) *sessionIdentity {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.realms) < maxRealms {
		r.realms[who.Realm] = struct{}{}
	}
	if s.ID != "" && who == s.person(who.Realm) {
		r.recordOwner(RevocationTarget{Realm: who.Realm, SessionID: s.ID}, s, now)
	}
	if !s.remote {
		at := r.clock(now)
		r.early.record(s, PersonTarget(who), at, at.Add(r.syncedUntil(now).Sub(now)), now)
	}
	return s.addIdentity(who)
}

// ambiguousOwner stands for the users of a `sid` that more than one has had, as with an
// issuer that gives one to each browser. No subject has this value.
const ambiguousOwner = "\x00"

// recordOwner records the user of a `sid`.
func (r *Revocations) recordOwner(id RevocationTarget, s *Session, now time.Time) {
	key, owner := sessionIDKey(id.Realm, id.SessionID), s.Subject
	if before, ok := r.sessionIDOwners.Get(id, key, now); ok && before != owner {
		owner = ambiguousOwner
	}
	r.sessionIDOwners.Set(id, key, owner, s.remaining(now), false)
}

// sessionIDKey returns the cache key of a `sid`: realms hold no NUL.
func sessionIDKey(realm, id string) string { return realm + "\x00" + id }

// maxRealms is how many realms are remembered: more than anybody has.
const maxRealms = 100

// Realms returns the realms of all identities of sessions so far, sorted.
func (r *Revocations) Realms() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.realms))
}

// Targets returns the targets of all revocations, in any order.
func (r *Revocations) Targets() []RevocationTarget {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Keys(r.records))
}

// Get returns the revocation of a target; ok is whether there is one that has not expired.
func (r *Revocations) Get(target RevocationTarget) (what Revocation, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rec := r.records[target]
	if rec == nil {
		return what, false
	}
	what = rec.Revocation
	what.Sessions = slices.Clone(rec.Sessions)
	return what, what.Expires().After(time.Now())
}
