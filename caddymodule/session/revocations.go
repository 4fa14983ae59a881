// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// revocationSweepInterval is how often expired revocations are dropped.
	revocationSweepInterval = time.Hour

	// maxUnownedSessions is how many revocations there may be of single sessions of
	// unknown persons. None is dropped to make room: more are refused.
	maxUnownedSessions = 100_000

	// maxSessionIDs is how many `sid` are remembered with their user.
	maxSessionIDs = 10_000
)

// errTooManyRevocations is the reason why a logout token is refused.
var errTooManyRevocations = errors.New("too many logouts name a session by sid alone, of which nothing was seen here: have the issuer send sub as well")

// Revocations are the revoked sessions, as this process and other machines have
// revoked them. Each is remembered for [MaxAge] and the leeway: a signed token is
// valid until its end, whatever its issuer does. There is one record for each person
// who has signed out, and none is dropped to make room: the person would be signed
// in again. Safe for concurrent use.
type Revocations struct {
	mu        sync.RWMutex
	records   map[RevocationTarget]*receivedRevocation
	unowned   int // how many records are of single sessions of unknown persons
	lastSweep time.Time
	early     earlySessions
	caches    []weak.Pointer[Cache]
	realms    map[string]struct{}

	sessionIDOwners *lru.Cache[RevocationTarget, string] // the subject of a `sid`, or ambiguousOwner

	clocks  clockSources
	changes atomic.Uint64 // the number of changes: what was looked up before has to be looked up again
}

// NewRevocations returns an empty set of revocations.
func NewRevocations() *Revocations {
	return &Revocations{
		records: make(map[RevocationTarget]*receivedRevocation), lastSweep: time.Now(), realms: make(map[string]struct{}),
		early: newEarly(), sessionIDOwners: lru.New[RevocationTarget, string](maxSessionIDs),
	}
}

// Revoke revokes the sessions of a person that were issued until now, and those that
// were seen here until now, whatever time of issue they tell. The zero person is
// everybody. It returns the targets whose revocation has changed, of which other
// machines have to learn.
func (r *Revocations) Revoke(who delegation.Person) []RevocationTarget {
	return r.RevokeAt(who, time.Time{})
}

// RevokeAt is [Revocations.Revoke] for a logout at a time by the issuer's clock. That
// counts instead of the own time if it is later, by the leeway at most.
func (r *Revocations) RevokeAt(who delegation.Person, issuedAt time.Time) []RevocationTarget {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, _ := r.mergeWithEarly(&Revocation{RevocationTarget: PersonTarget(who), At: r.revocationTime(issuedAt, now)}, now, true)
	return changed
}

// revocationTime returns the time of a revocation that is made now, by the common
// clock, for a logout at a time by the issuer's clock.
func (r *Revocations) revocationTime(at, now time.Time) time.Time {
	clock := r.clock(now)
	if latest := clock.Add(leeway); at.After(latest) {
		at = latest
	}
	return laterOf(clock, at)
}

// RevokeSession revokes the sessions with a `sid` in a realm, for a logout at a time by
// the issuer's clock. If the subject is known, it also revokes the subject's sessions
// without any `sid`, each of which may be the one. It returns the targets whose
// revocation has changed. The error is that there is no room.
func (r *Revocations) RevokeSession(realm, subject, id string, issuedAt time.Time) ([]RevocationTarget, error) {
	now := time.Now()
	at := r.revocationTime(issuedAt, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	what := &Revocation{RevocationTarget: RevocationTarget{Realm: realm, Subject: subject}}
	if subject == "" {
		if owner, _ := r.sessionIDOwners.Get(RevocationTarget{Realm: realm, SessionID: id}, sessionIDKey(realm, id), now); owner != ambiguousOwner {
			what.Subject = owner
		}
	} else {
		what.NoSessionID = at
	}
	if what.Subject != "" {
		what.Sessions = []RevokedSession{{ID: id, At: at, IssuedBefore: endOfSecond(laterOf(at, issuedAt)), Expires: now.Add(MaxAge + leeway)}}
		changed, _ := r.mergeWithEarly(what, now, true)
		return changed, nil
	}
	what.SessionID, what.At = id, at
	if r.records[what.RevocationTarget] == nil && r.unowned >= maxUnownedSessions {
		return nil, errTooManyRevocations
	}
	changed, _ := r.mergeWithEarly(what, now, true)
	return changed, nil
}

// Merge adds a revocation of another machine. It returns the targets of what is revoked
// here beyond it, which are sessions that only this machine has seen: the others have to
// learn of them.
func (r *Revocations) Merge(what Revocation) []RevocationTarget {
	now := time.Now()
	// Another machine's clock may be wrong: nobody must be kept out by it for long.
	latest := r.clock(now).Add(2 * leeway)
	for _, at := range []*time.Time{&what.At, &what.NoSessionID} {
		if at.After(latest) {
			*at = latest
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, more := r.mergeWithEarly(&what, now, false)
	return more
}

// mergeWithEarly merges a revocation, and revokes with it the early sessions that were
// seen before it; if local, it is of this machine and all of them were. changed are the targets
// whose revocation has changed, more those that have because of early sessions.
func (r *Revocations) mergeWithEarly(what *Revocation, now time.Time, local bool) (changed, more []RevocationTarget) {
	rec := r.records[what.RevocationTarget]
	if rec == nil {
		rec = &receivedRevocation{Revocation: Revocation{RevocationTarget: what.RevocationTarget}}
	}
	if rec.merge(what, now) {
		changed = append(changed, what.RevocationTarget)
		if r.records[what.RevocationTarget] == nil {
			r.records[what.RevocationTarget] = rec
			if what.singleSession() {
				r.unowned++
			}
		}
	}
	for _, seen := range r.early.revokedBy(what, local) {
		if r.records[seen.RevocationTarget] == nil {
			r.records[seen.RevocationTarget] = &receivedRevocation{Revocation: Revocation{RevocationTarget: seen.RevocationTarget}}
		}
		if r.records[seen.RevocationTarget].merge(&seen, now) {
			more = append(more, seen.RevocationTarget)
			if !slices.Contains(changed, seen.RevocationTarget) {
				changed = append(changed, seen.RevocationTarget)
			}
		}
	}
	if len(changed) > 0 {
		r.changes.Add(1)
	}
	r.sweep(now)
	return changed, more
}

// sweep drops expired revocations, once in revocationSweepInterval.
func (r *Revocations) sweep(now time.Time) {
	if now.Sub(r.lastSweep) < revocationSweepInterval {
		return
	}
	r.lastSweep = now
	for name, rec := range r.records {
		rec.prune(now)
		if !rec.Expires().After(now) {
			delete(r.records, name)
			if name.singleSession() {
				r.unowned--
			}
		}
	}
}
