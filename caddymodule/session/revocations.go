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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// sweepEvery is how often revocations that are no longer needed are dropped.
	sweepEvery = time.Hour

	// maxSingle is how many single sessions are revoked of whom nobody knows
	// whose they are. None is dropped to make room: more are refused.
	maxSingle = 100_000

	// maxSeen is how many names of sessions (`sid`) are remembered with whose
	// they are.
	maxSeen = 10_000
)

// errFull is why a logout is not taken.
var errFull = errors.New("too many logouts name a session by sid alone, of which nothing was seen here: have the issuer send sub as well")

// Revocations remember whose sessions are revoked, for [MaxAge]: a session of a
// JSON Web Token has no end that its issuer could still change. There is one
// record for a person, the latest, and none is dropped to make room, or who was
// signed out would be signed in again; there are no more of them than people
// who did sign out. Safe for concurrent use.
type Revocations struct {
	mu      sync.RWMutex
	records map[Name]*record
	single  int // of the records
	swept   time.Time
	early   early
	caches  []weak.Pointer[Cache]
	realms  map[string]struct{}

	seen *memory.Store[Name, string] // whose a `sid` is

	clocks     clocks
	generation atomic.Uint64 // how many changes there have been
}

// NewRevocations returns none.
func NewRevocations() *Revocations {
	return &Revocations{
		records: make(map[Name]*record), swept: time.Now(), realms: make(map[string]struct{}),
		early: newEarly(), seen: memory.New[Name, string](maxSeen),
	}
}

// Revoke revokes the sessions of a person that were issued until now, and those
// that were seen here until now whatever they say of when they were issued. The
// zero person is everybody. It returns the names of what has changed.
func (r *Revocations) Revoke(who delegation.Person) []Name { return r.RevokeTold(who, time.Time{}) }

// RevokeTold is the same where an issuer tells, at a moment by its clock, which
// may be ahead: that counts if it is later.
func (r *Revocations) RevokeTold(who delegation.Person, told time.Time) []Name {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, _ := r.apply(&Revocation{Name: NameOf(who), At: r.told(told, now)}, now, true)
	return changed
}

// told is when something was told that is revoked now.
func (r *Revocations) told(at, now time.Time) time.Time {
	clock := r.clock(now)
	if latest := clock.Add(leeway); at.After(latest) {
		at = latest
	}
	return later(clock, at)
}

// RevokeSession revokes the sessions of a name (`sid`) in a realm, as an issuer
// tells at a moment by its clock. Where it tells the subject too, those without
// a name as well. The error is that there is no room.
func (r *Revocations) RevokeSession(realm, subject, id string, told time.Time) ([]Name, error) {
	now := time.Now()
	at := r.told(told, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	what := &Revocation{Name: Name{Realm: realm, Subject: subject}}
	if subject == "" {
		if owner, _ := r.seen.Get(Name{Realm: realm, SessionID: id}, seenKey(realm, id), now); owner != severalOwners {
			what.Subject = owner
		}
	} else {
		what.NoSessionID = at
	}
	if what.Subject != "" {
		what.Sessions = []RevokedSession{{ID: id, At: at, Issued: endOfSecond(later(at, told)), Expires: now.Add(MaxAge + leeway)}}
		changed, _ := r.apply(what, now, true)
		return changed, nil
	}
	what.SessionID, what.At = id, at
	if r.records[what.Name] == nil && r.single >= maxSingle {
		return nil, errFull
	}
	changed, _ := r.apply(what, now, true)
	return changed, nil
}

// Merge adds what another machine tells. It returns the names of what is
// revoked here beyond that, of which the others should be told.
func (r *Revocations) Merge(what Revocation) []Name {
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
func (r *Revocations) apply(what *Revocation, now time.Time, here bool) (changed, more []Name) {
	rec := r.records[what.Name]
	if rec == nil {
		rec = &record{Revocation: Revocation{Name: what.Name}}
	}
	if rec.merge(what, now) {
		changed = append(changed, what.Name)
		if r.records[what.Name] == nil {
			r.records[what.Name] = rec
			if what.single() {
				r.single++
			}
		}
	}
	for _, seen := range r.early.revoked(what, here) {
		if r.records[seen.Name] == nil {
			r.records[seen.Name] = &record{Revocation: Revocation{Name: seen.Name}}
		}
		if r.records[seen.Name].merge(&seen, now) {
			more = append(more, seen.Name)
			if !slices.Contains(changed, seen.Name) {
				changed = append(changed, seen.Name)
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
	if now.Sub(r.swept) < sweepEvery {
		return
	}
	r.swept = now
	for name, rec := range r.records {
		rec.prune(now)
		if !rec.Ends().After(now) {
			delete(r.records, name)
			if name.single() {
				r.single--
			}
		}
	}
}

// RevokedAs tells whether a session is revoked as it is used by the name of a
// person: the realm may be a configured one, the subject another claim. The
// session goes on to be checked by that name as well.
func (r *Revocations) RevokedAs(s *Session, who delegation.Person) bool {
	generation := r.generation.Load() + 1
	u := s.use(who)
	if u == nil {
		u = r.note(s, who)
	}
	if u.current.Load() == generation {
		return false
	}
	r.mu.RLock()
	revoked := r.revoked(s, who)
	r.mu.RUnlock()
	if !revoked {
		u.current.Store(generation)
	}
	return revoked
}

// Revoked tells whether a session is revoked by any name that it is used by.
func (r *Revocations) Revoked(s *Session) bool {
	if r.RevokedAs(s, s.person(s.Realm)) || s.issuer != "" && r.RevokedAs(s, s.person(s.issuer)) {
		return true
	}
	for _, u := range s.used() {
		if r.RevokedAs(s, u.who) {
			return true
		}
	}
	return false
}

func (r *Revocations) revoked(s *Session, who delegation.Person) bool {
	if len(r.records) == 0 {
		return false
	}
	of := func(name Name) bool {
		rec := r.records[name]
		return rec != nil && rec.revokes(s)
	}
	if of(Name{}) || of(NameOf(who)) {
		return true
	}
	if !s.asked && s.digest != "" && r.records[Name{Digest: s.digest}] != nil {
		return true
	}
	if s.ID == "" {
		return false
	}
	rec := r.records[Name{Realm: who.Realm, SessionID: s.ID}]
	return rec != nil && (!s.asked || covers(s, rec.At, rec.heard))
}

// note has a session checked by a name from now on.
func (r *Revocations) note(s *Session, who delegation.Person) *use {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.realms) < maxRealms {
		r.realms[who.Realm] = struct{}{}
	}
	if s.ID != "" && who == s.person(who.Realm) {
		r.own(Name{Realm: who.Realm, SessionID: s.ID}, s, now)
	}
	if !s.asked {
		at := r.clock(now)
		r.early.note(s, NameOf(who), at, at.Add(r.heard(now).Sub(now)), now)
	}
	return s.addUse(who)
}

// severalOwners are the users of a `sid` that more than one has had, as of an
// issuer that gives one to each browser. No subject is that.
const severalOwners = "\x00"

// own notes whose a `sid` is.
func (r *Revocations) own(id Name, s *Session, now time.Time) {
	key, owner := seenKey(id.Realm, id.SessionID), s.Subject
	if before, ok := r.seen.Get(id, key, now); ok && before != owner {
		owner = severalOwners
	}
	r.seen.Set(id, key, owner, s.remaining(now), false)
}

func seenKey(realm, id string) string { return realm + "\x00" + id }

// maxRealms is more than anybody has.
const maxRealms = 100

// Realms are those that sessions were used by, sorted.
func (r *Revocations) Realms() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.realms))
}

// Names are all that something is revoked of.
func (r *Revocations) Names() []Name {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Keys(r.records))
}

// Of is what is revoked by a name; ok tells whether anything is.
func (r *Revocations) Of(name Name) (what Revocation, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	rec := r.records[name]
	if rec == nil {
		return what, false
	}
	what = rec.Revocation
	what.Sessions = slices.Clone(rec.Sessions)
	return what, what.Ends().After(time.Now())
}
