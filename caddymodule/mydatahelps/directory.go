// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/flight"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

const (
	hitLifetime  = 24 * time.Hour
	recheckAge   = time.Hour       // from this age on a hit is checked in the background
	recheckPause = 5 * time.Minute // after a check that failed

	maxHits             = 100_000
	maxBackgroundChecks = 4 // at a time

	// lookupTimeout bounds one lookup, detached from whoever waits for it.
	lookupTimeout = 30 * time.Second
	// listTimeout bounds reading the whole list.
	listTimeout = 10 * time.Minute

	maxWaiting          = 10_000
	maxWaitingPerPerson = 500
)

// participantCache is what a provider knows across reloads: who is which participant,
// and what is left of the quota. It holds nothing of any one configuration.
type participantCache struct {
	quota    *quota
	bindings *localBindings

	hits             *memory.Cache[delegation.Person, *hit]
	misses           missCache
	flights          *flight.Group[delegation.Person, string]
	purges           *tokens.Purges
	breaker          *blame.Breaker
	project          projectStatus
	backgroundChecks atomic.Int32

	listReads      *flight.Group[string, *participantIndex]
	mu             sync.Mutex
	list           *participantIndex
	unfinishedList *participantIndex // a scan that is not complete
	listPages      int               // what the list takes, as far as is known
	lastListRead   time.Time         // when a scan last began in the background

	// How often doubts about the service token may have it renewed: a refused
	// participant who keeps asking must not.
	refusedGrantRenewals *rate.Limiter
	unauthorizedRenewals *rate.Limiter

	settings  string // the fingerprint of those that came last
	lifecycle lifecycle
}

type hit struct {
	person    delegation.Person
	id        string
	found     time.Time
	recheckAt atomic.Int64 // when to check it, in Unix nanoseconds
	// When the grants were last asked whether the person is bound to it, likewise.
	confirmedAt atomic.Int64
}

func newParticipantCache(pins *localBindings) *participantCache {
	d := &participantCache{
		quota:                newQuota(),
		bindings:             pins,
		hits:                 memory.New[delegation.Person, *hit](maxHits),
		misses:               newMissCache(),
		flights:              flight.New[delegation.Person, string](flight.Limits{Timeout: lookupTimeout, Waiting: maxWaiting, PerOwner: maxWaitingPerPerson}),
		breaker:              blame.NewBreaker(),
		purges:               tokens.NewPurges(),
		refusedGrantRenewals: rate.NewLimiter(rate.Every(30*time.Second), 3),
		unauthorizedRenewals: rate.NewLimiter(rate.Every(30*time.Second), 3),
		listReads:            flight.New[string, *participantIndex](flight.Limits{Timeout: listTimeout}),
		lifecycle:            newLifecycle(),
	}
	return d
}

// Close ends what nobody waits for.
func (d *participantCache) Close() error {
	d.lifecycle.close()
	return nil
}

// lookupFunc looks somebody up at the platform. thrifty asks to do it by the list.
type lookupFunc func(ctx context.Context, thrifty bool) (id string, err error)

// call is a look-up whose panic is a failure, to be remembered as others are.
func (f lookupFunc) call(ctx context.Context, thrifty bool) (id string, err error) {
	defer background.Recover("looking up a participant", &err)
	return f(ctx, thrifty)
}

func lookupKey(who delegation.Person, claim string) string {
	var space [256]byte // enough for most, without an allocation
	b := strconv.AppendQuote(space[:0], who.Realm)
	b = strconv.AppendQuote(b, who.Subject)
	if claim != who.Subject {
		b = strconv.AppendQuote(b, claim)
	}
	return string(b)
}

// resolve returns the participant's ID. A hit costs nothing and never waits.
func (d *participantCache) resolve(ctx context.Context, who delegation.Person, claim string, find lookupFunc) (string, error) {
	key, now := lookupKey(who, claim), time.Now()
	if h, ok := d.hits.Get(who, key, now); ok {
		d.recheckOld(key, claim, h, now, find)
		return h.id, nil
	}
	if r := d.misses.lookup(who, claim); r != nil {
		return "", r
	}
	// Who asks after a purge must not get what was being looked up before it.
	op := d.purges.Begin(&delegation.Identity{Person: who})
	defer op.End()
	flight := key + strconv.FormatUint(op.Generation(), 10)
	return d.flights.Do(ctx, flight, who, func(ctx context.Context) (string, error) {
		op, err := op.Resume()
		if err != nil {
			return "", err // whoever asked has left
		}
		defer op.End()
		// Who arrives just after a flight has landed finds its outcome here.
		if h, ok := d.hits.Get(who, key, now); ok {
			return h.id, nil
		}
		defer d.lifecycle.beginLookup()()
		reserved := d.quota.spendUnknown()
		id, err := find.call(ctx, !reserved)
		var r *delegation.Refusal
		if err != nil && !errors.As(err, &r) {
			err = delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("looking up the participant: %w", err))
		}
		if reserved && !isMiss(err) {
			d.quota.refundUnknown()
		}
		d.recordLookup(key, who, claim, id, err, op)
		if err == nil && op.Purged() {
			return "", tokens.ErrPurged // nor is a token minted for who waited
		}
		return id, err
	})
}

// recheckOld looks a hit up anew in the background once it is an hour old, while
// the quota is far from spent.
func (d *participantCache) recheckOld(key, claim string, h *hit, now time.Time, find lookupFunc) {
	next := h.recheckAt.Load()
	if now.UnixNano() < next || !d.quota.hasSlack() || d.lifecycle.unused() {
		return
	}
	if !h.recheckAt.CompareAndSwap(next, now.Add(recheckPause).UnixNano()) {
		return
	}
	if d.backgroundChecks.Add(1) > maxBackgroundChecks {
		d.backgroundChecks.Add(-1)
		return
	}
	op := d.purges.Begin(&delegation.Identity{Person: h.person})
	background.Go("checking a participant", func() {
		defer d.backgroundChecks.Add(-1)
		defer op.End()
		ctx, cancel := context.WithTimeout(d.lifecycle.background.ctx, lookupTimeout)
		defer cancel()
		id, err := find.call(ctx, false)
		if err != nil && !isMiss(err) {
			return // things are left as they were
		}
		d.recordLookup(key, h.person, claim, id, err, op)
	})
}

// isMiss tells whether a lookup found that there is nobody to act as.
func isMiss(err error) bool {
	r, ok := errors.AsType[*delegation.Refusal](err)
	return ok && blame.VerdictOf(r) == blame.PersonRefused()
}

// recordLookup remembers a lookup's outcome, unless the person was purged since it
// began.
func (d *participantCache) recordLookup(key string, who delegation.Person, claim, id string, err error, op *tokens.Operation) {
	_ = op.UnlessPurged(func() {
		if err != nil {
			if isMiss(err) {
				d.hits.Delete(who, key)
			}
			d.misses.record(who, claim, delegation.AsRefusal(err))
			return
		}
		h := &hit{person: who, id: id, found: time.Now()}
		h.recheckAt.Store(h.found.Add(recheckAge).UnixNano())
		h.confirmedAt.Store(h.found.UnixNano())
		d.hits.Set(who, key, h, hitLifetime, false)
		d.misses.delete(who)
	})
}

// breakerOwner is for whom the platform is asked: somebody whom it knew as a
// participant, or one of all those whom it never knew.
func (d *participantCache) breakerOwner(who delegation.Person, claim string) blame.Owner {
	if _, _, ok := d.hits.Peek(d.hits.Ref(who, lookupKey(who, claim))); ok {
		return blame.KnownPerson(who)
	}
	return blame.NewPerson(who)
}

// recheckRefused drops a hit whose participant the issuer refuses, so that somebody who
// has withdrawn is told so. It is paid from the strangers' share, and no more
// often than a miss would be looked up.
func (d *participantCache) recheckRefused(who delegation.Person, claim string) {
	key := lookupKey(who, claim)
	h, _, ok := d.hits.Peek(d.hits.Ref(who, key))
	if ok && time.Since(h.found) >= missLifetime && d.quota.spendUnknown() {
		d.hits.Delete(who, key)
	}
}

// forget drops lookups, but no pins. Misses are short-lived, and nobody knows
// which participant somebody is not: all of them go.
func (d *participantCache) forget(s delegation.Selection) {
	lookups := s
	if s.Participant != "" {
		lookups = delegation.Selection{} // nobody knows yet whom a lookup will find
	}
	defer d.purges.Add(lookups)()
	covered := func(h *hit) bool { return s.Covers(h.person, h.id) }
	if s.Realm != "" && s.Subject != "" {
		who := delegation.Person{Realm: s.Realm, Subject: s.Subject}
		d.hits.DeleteOwned(who, covered)
		d.misses.forget(who)
		return
	}
	d.hits.DeleteFunc(covered)
	d.misses.forgetAll()
}
