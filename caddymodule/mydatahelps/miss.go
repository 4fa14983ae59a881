// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rand"
	"errors"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// missLifetime is how long a person is not looked up again who was found to be
	// no participant: twice as long each time, up to maxMissLife. Nobody waits
	// much longer than they have been none.
	missLifetime    = 30 * time.Second
	maxMissLifetime = time.Hour

	// freeClaims is how often a person may come with another claim before the
	// pause is over: one whom the operator has linked need not wait, and who
	// can choose claims cannot have any number looked up.
	freeClaims = 3

	maxMisses = 10_000
)

// missCache are why people could not be found, one record a person. They are of
// their own so that strangers push no participant out.
type missCache struct {
	store  *memory.Cache[delegation.Person, *miss]
	secret []byte
}

type miss struct {
	claim   string
	refusal *delegation.Refusal
	until   time.Time
	missed  int // lookups in a row that found nobody
	failed  int // lookups in a row that found out nothing
}

var errManyClaims = errors.New("the person was looked up by several values in vain")

func newMissCache() missCache {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return missCache{memory.New[delegation.Person, *miss](maxMisses), secret}
}

// lookup returns the refusal that is remembered for a person.
func (m missCache) lookup(who delegation.Person, claim string) *delegation.Refusal {
	now := time.Now()
	last, ok := m.store.Get(who, m.key(who), now)
	switch {
	case !ok || !now.Before(last.until):
		return nil
	case last.claim == claim:
		if isMiss(last.refusal) {
			return last.refusal
		}
		return blame.Repeat(last.refusal, last.until.Sub(now))
	case last.missed <= freeClaims:
		return nil
	default:
		return throttled(last.until.Sub(now), errManyClaims)
	}
}

// record remembers why a person was not found.
func (m missCache) record(who delegation.Person, claim string, r *delegation.Refusal) {
	key, now := m.key(who), time.Now()
	last := &miss{claim: claim, refusal: r}
	if before, ok := m.store.Get(who, key, now); ok {
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
		wait = max(blame.Backoff(last.failed), r.RetryAfter)
	}
	last.until = now.Add(wait)
	// Longer than it counts: the next one is then known to be no news.
	life := 2 * wait
	switch {
	case r.Code == delegation.IssuerThrottled:
		life = max(life, window)
	case last.failed > 0:
		life = wait + blame.FailureLife
	}
	m.store.Set(who, key, last, life, false)
}

// missedBefore tells whether somebody was looked up in vain, or could not be looked up
// for want of quota.
func (m missCache) missedBefore(who delegation.Person) bool {
	last, ok := m.store.Get(who, m.key(who), time.Now())
	return ok && (last.missed > 0 || last.refusal.Code == delegation.IssuerThrottled)
}

// forget has a person looked up again as soon as they come. That there was no
// quota for them, or how often they were none, stays: signing out and in again
// must not make somebody new each time.
func (m missCache) forget(who delegation.Person) {
	key := m.key(who)
	if last, ok := m.store.Get(who, key, time.Now()); ok {
		m.store.Set(who, key, &miss{refusal: last.refusal, missed: last.missed}, maxMissLifetime, false)
	}
}

// delete ends what is remembered of a person who is a participant.
func (m missCache) delete(who delegation.Person) { m.store.Delete(who, m.key(who)) }

// key names nobody: counts outlive what is forgotten of a person.
func (m missCache) key(who delegation.Person) string {
	h, _ := blake2b.New256(m.secret) // never fails with a key of 32 bytes
	_, _ = h.Write([]byte(lookupKey(who, who.Subject)))
	return string(h.Sum(nil))
}

// forgetFailures has everybody looked up again of whom nothing was found out.
func (m missCache) forgetFailures() {
	m.store.DeleteFunc(func(last *miss) bool { return !isMiss(last.refusal) })
}

func (m missCache) forgetAll() {
	m.store.DeleteFunc(func(*miss) bool { return true })
}
