// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rand"
	"errors"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// missLifetime is how long a person who is no participant is not looked up
	// again: twice as long each time, up to maxMissLifetime, so that a new
	// participant waits no longer than they have tried before.
	missLifetime    = 30 * time.Second
	maxMissLifetime = time.Hour

	// freeClaims is how many misses leave a person free to be looked up by another
	// claim at once: one whom the operator has just linked need not wait, and one
	// who can choose their claims cannot have any number looked up.
	freeClaims = 3

	maxMisses = 10_000
)

// missCache remembers why people were not found, one miss a person. It has a bound
// of its own, so that unknown people evict no participant.
type missCache struct {
	store  *lru.Cache[delegation.Person, *miss]
	secret []byte
}

// miss is the latest look-up of a person who was not found.
type miss struct {
	claim   string
	refusal *delegation.Refusal
	until   time.Time
	missed  int // look-ups in a row that found no participant
	failed  int // look-ups in a row that failed
}

var errManyClaims = errors.New("the person was looked up by several values in vain")

func newMissCache() missCache {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return missCache{lru.New[delegation.Person, *miss](maxMisses), secret}
}

// lookup returns the refusal to repeat for a person, or nil.
func (m missCache) lookup(person delegation.Person, claim string) *delegation.Refusal {
	now := time.Now()
	last, ok := m.store.Get(person, m.key(person), now)
	switch {
	case !ok || !now.Before(last.until):
		return nil
	case last.claim == claim:
		if isMiss(last.refusal) {
			return last.refusal
		}
		return circuit.Repeat(last.refusal, last.until.Sub(now))
	case last.missed <= freeClaims:
		return nil
	default:
		return throttled(last.until.Sub(now), errManyClaims)
	}
}

// record remembers the refusal of a person's look-up.
func (m missCache) record(person delegation.Person, claim string, r *delegation.Refusal) {
	key, now := m.key(person), time.Now()
	last := &miss{claim: claim, refusal: r}
	if before, ok := m.store.Get(person, key, now); ok {
		last.missed, last.failed = before.missed, before.failed
	}
	var wait time.Duration
	switch {
	case isMiss(r):
		last.missed++
		last.failed = 0
		wait = min(missLifetime<<min(last.missed-1, 10), maxMissLifetime)
		if r.Code == delegation.AccountConflict {
			wait = confirmInterval // an operator decides
		}
	default:
		last.failed++
		wait = max(circuit.Backoff(last.failed), r.RetryAfter)
	}
	last.until = now.Add(wait)
	// It is kept for longer than it is repeated: the next failure then counts as
	// one in a row.
	life := 2 * wait
	switch {
	case r.Code == delegation.IssuerThrottled:
		life = max(life, window)
	case last.failed > 0:
		life = wait + circuit.FailureLife
	}
	m.store.Set(person, key, last, life, false)
}

// missedBefore reports whether a person was looked up in vain, or could not be looked
// up for want of quota.
func (m missCache) missedBefore(person delegation.Person) bool {
	last, ok := m.store.Get(person, m.key(person), time.Now())
	return ok && (last.missed > 0 || last.refusal.Code == delegation.IssuerThrottled)
}

// forget has a person looked up again at their next request. How often they were no
// participant, and that there was no quota for them, stays: signing out and in
// again must not make an unknown person a new one.
func (m missCache) forget(person delegation.Person) {
	key := m.key(person)
	if last, ok := m.store.Get(person, key, time.Now()); ok {
		m.store.Set(person, key, &miss{refusal: last.refusal, missed: last.missed}, maxMissLifetime, false)
	}
}

// delete deletes the miss of a person who was found.
func (m missCache) delete(person delegation.Person) { m.store.Delete(person, m.key(person)) }

// key returns a keyed hash of a person: the counts outlive a purge of the person, and
// must not name them.
func (m missCache) key(person delegation.Person) string {
	h, _ := blake2b.New256(m.secret) // never fails with a key of 32 bytes
	_, _ = h.Write([]byte(lookupKey(person, person.Subject)))
	return string(h.Sum(nil))
}

// forgetFailures has people looked up again whose look-up failed.
func (m missCache) forgetFailures() {
	m.store.DeleteFunc(func(last *miss) bool { return !isMiss(last.refusal) })
}

func (m missCache) forgetAll() {
	m.store.DeleteFunc(func(*miss) bool { return true })
}
