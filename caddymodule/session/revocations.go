// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// revocationSweepInterval is how often revocations that are no longer needed are dropped.
	revocationSweepInterval = time.Hour

	// maxUnownedSessions is how many single sessions are revoked of whom nobody knows
	// whose they are. None is dropped to make room: more are refused.
	maxUnownedSessions = 100_000

	// maxSessionIDs is how many names of sessions (`sid`) are remembered with whose
	// they are.
	maxSessionIDs = 10_000
)

// errTooManyRevocations is why a logout is not taken.
var errTooManyRevocations = errors.New("too many logouts name a session by sid alone, of which nothing was seen here: have the issuer send sub as well")

// Revocations remember whose sessions are revoked, for [MaxAge]: a session of a
// JSON Web Token has no end that its issuer could still change. There is one
// record for a person, the latest, and none is dropped to make room, or who was
// signed out would be signed in again; there are no more of them than people
// who did sign out. Safe for concurrent use.
type Revocations struct {
	mu        sync.RWMutex
	records   map[RevocationTarget]*revocationRecord
	unowned   int // of the records
	lastSweep time.Time
	early     earlySessions
	caches    []weak.Pointer[Cache]
	realms    map[string]struct{}

	sessionIDOwners *lru.Cache[RevocationTarget, string] // whose a `sid` is

	clocks     clockSources
	generation atomic.Uint64 // how many changes there have been
}

// NewRevocations returns none.
func NewRevocations() *Revocations {
	return &Revocations{
		records: make(map[RevocationTarget]*revocationRecord), lastSweep: time.Now(), realms: make(map[string]struct{}),
		early: newEarly(), sessionIDOwners: lru.New[RevocationTarget, string](maxSessionIDs),
	}
}

// Revoke revokes the sessions of a person that were issued until now, and those
// that were seen here until now whatever they say of when they were issued. The
// zero person is everybody. It returns the names of what has changed.
func (r *Revocations) Revoke(who delegation.Person) []RevocationTarget {
	return r.RevokeAt(who, time.Time{})
}

// RevokeAt is the same where an issuer tells, at a moment by its clock, which
// may be ahead: that counts if it is later.
func (r *Revocations) RevokeAt(who delegation.Person, told time.Time) []RevocationTarget {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, _ := r.apply(&Revocation{RevocationTarget: PersonTarget(who), At: r.revocationTime(told, now)}, now, true)
	return changed
}

// revocationTime is when something was told that is revoked now.
func (r *Revocations) revocationTime(at, now time.Time) time.Time {
	clock := r.clock(now)
	if latest := clock.Add(leeway); at.After(latest) {
		at = latest
	}
	return laterOf(clock, at)
}

// RevokeSession revokes the sessions of a name (`sid`) in a realm, as an issuer
// tells at a moment by its clock. Where it tells the subject too, those without
// a name as well. The error is that there is no room.
func (r *Revocations) RevokeSession(realm, subject, id string, told time.Time) ([]RevocationTarget, error) {
	now := time.Now()
	at := r.revocationTime(told, now)
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
		what.Sessions = []RevokedSession{{ID: id, At: at, IssuedBefore: endOfSecond(laterOf(at, told)), Expires: now.Add(MaxAge + leeway)}}
		changed, _ := r.apply(what, now, true)
		return changed, nil
	}
	what.SessionID, what.At = id, at
	if r.records[what.RevocationTarget] == nil && r.unowned >= maxUnownedSessions {
		return nil, errTooManyRevocations
	}
	changed, _ := r.apply(what, now, true)
	return changed, nil
}

// Merge adds what another machine tells. It returns the names of what is
// revoked here beyond that, of which the others should be told.
func (r *Revocations) Merge(what Revocation) []RevocationTarget {
	now := time.Now()
	// Another clock may be wrong: nobody must be kept out by it for long.
	latest := r.clock(now).Add(2 * leeway)
	for _, at := range []*time.Time{&what.At, &what.NoSessionID} {
		if at.After(latest) {
			*at = latest
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, more := r.apply(&what, now, false)
	return more
}

// apply merges a revocation and, with it, sessions that were seen before; here
// tells that it is from here, and all were. It returns the names of what has
// changed, and of that by those sessions.
func (r *Revocations) apply(what *Revocation, now time.Time, here bool) (changed, more []RevocationTarget) {
	rec := r.records[what.RevocationTarget]
	if rec == nil {
		rec = &revocationRecord{Revocation: Revocation{RevocationTarget: what.RevocationTarget}}
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
	for _, seen := range r.early.revokedBy(what, here) {
		if r.records[seen.RevocationTarget] == nil {
			r.records[seen.RevocationTarget] = &revocationRecord{Revocation: Revocation{RevocationTarget: seen.RevocationTarget}}
		}
		if r.records[seen.RevocationTarget].merge(&seen, now) {
			more = append(more, seen.RevocationTarget)
			if !slices.Contains(changed, seen.RevocationTarget) {
				changed = append(changed, seen.RevocationTarget)
			}
		}
	}
	if len(changed) > 0 {
		r.generation.Add(1)
	}
	r.sweep(now)
	return changed, more
}

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

// RevokedAs tells whether a session is revoked as it is used by the name of a
// person: the realm may be a configured one, the subject another claim. The
// session goes on to be checked by that name as well.
func (r *Revocations) RevokedAs(s *Session, who delegation.Person) bool {
	generation := r.generation.Load() + 1
	u := s.identity(who)
	if u == nil {
		u = r.registerIdentity(s, who)
	}
	if u.generation.Load() == generation {
		return false
	}
	r.mu.RLock()
	revoked := r.isRevoked(s, who)
	r.mu.RUnlock()
	if !revoked {
		u.generation.Store(generation)
	}
	return revoked
}

// Revoked tells whether a session is revoked by any name that it is used by.
func (r *Revocations) Revoked(s *Session) bool {
	if r.RevokedAs(s, s.person(s.Realm)) || s.issuer != "" && r.RevokedAs(s, s.person(s.issuer)) {
		return true
	}
	for _, u := range s.knownIdentities() {
		if r.RevokedAs(s, u.person) {
			return true
		}
	}
	return false
}

func (r *Revocations) isRevoked(s *Session, who delegation.Person) bool {
	if len(r.records) == 0 {
		return false
	}
	of := func(name RevocationTarget) bool {
		rec := r.records[name]
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

// registerIdentity has a session checked by a name from now on.
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

// ambiguousOwner are the users of a `sid` that more than one has had, as of an
// issuer that gives one to each browser. No subject is that.
const ambiguousOwner = "\x00"

// recordOwner notes whose a `sid` is.
func (r *Revocations) recordOwner(id RevocationTarget, s *Session, now time.Time) {
	key, owner := sessionIDKey(id.Realm, id.SessionID), s.Subject
	if before, ok := r.sessionIDOwners.Get(id, key, now); ok && before != owner {
		owner = ambiguousOwner
	}
	r.sessionIDOwners.Set(id, key, owner, s.remaining(now), false)
}

func sessionIDKey(realm, id string) string { return realm + "\x00" + id }

// maxRealms is more than anybody has.
const maxRealms = 100

// Realms are those that sessions were used by, sorted.
func (r *Revocations) Realms() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.realms))
}

// Targets are all that something is revoked of.
func (r *Revocations) Targets() []RevocationTarget {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Keys(r.records))
}

// Get is what is revoked by a name; ok tells whether anything is.
func (r *Revocations) Get(name RevocationTarget) (what Revocation, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rec := r.records[name]
	if rec == nil {
		return what, false
	}
	what = rec.Revocation
	what.Sessions = slices.Clone(rec.Sessions)
	return what, what.Expires().After(time.Now())
}
