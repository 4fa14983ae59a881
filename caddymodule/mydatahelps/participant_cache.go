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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

const (
	hitLifetime  = 24 * time.Hour
	recheckAge   = time.Hour       // from this age on a hit is checked in the background
	recheckPause = 5 * time.Minute // after a check that failed

	maxHits             = 100_000
	maxBackgroundChecks = 4 // at once

	// lookupTimeout bounds one look-up, which outlives the requests that wait for it.
	lookupTimeout = 30 * time.Second
	// listTimeout bounds reading the whole participant list.
	listTimeout = 10 * time.Minute

	maxWaiting          = 10_000
	maxWaitingPerPerson = 500
)

// participantCache remembers which participant each person is, and which people are
// none, and bounds how they are looked up. It outlives reloads and holds nothing
// of any one configuration.
type participantCache struct {
	quota    *quota
	bindings *localBindings

	hits             *lru.Cache[delegation.Person, *hit]
	misses           missCache
	flights          *singleflight.Group[delegation.Person, string]
	purges           *tokens.Purges
	breaker          *circuit.Breaker
	project          projectStatus
	backgroundChecks atomic.Int32

	listReads      *singleflight.Group[string, *participantIndex]
	mu             sync.Mutex
	list           *participantIndex
	unfinishedList *participantIndex // read in part, until the quota was spent
	listPages      int               // number of the list's pages, as far as is known
	lastListRead   time.Time         // when the list was last read in the background

	// How often an issuer's or API's refusal may have the service token renewed: a
	// refused participant who keeps asking must not renew it each time.
	refusedGrantRenewals *rate.Limiter
	unauthorizedRenewals *rate.Limiter

	settings  string // fingerprint of the latest configuration
	lifecycle lifecycle
}

// hit is a person's participant.
type hit struct {
	person    delegation.Person
	id        string
	found     time.Time
	recheckAt atomic.Int64 // when to look it up again, in Unix nanoseconds
	// When the grants last confirmed the person's binding to it, likewise.
	confirmedAt atomic.Int64
}

func newParticipantCache(bindings *localBindings) *participantCache {
	d := &participantCache{
		quota:                newQuota(),
		bindings:             bindings,
		hits:                 lru.New[delegation.Person, *hit](maxHits),
		misses:               newMissCache(),
		flights:              singleflight.New[delegation.Person, string](singleflight.Limits{Timeout: lookupTimeout, Waiting: maxWaiting, PerOwner: maxWaitingPerPerson}),
		breaker:              circuit.NewBreaker(),
		purges:               tokens.NewPurges(),
		refusedGrantRenewals: rate.NewLimiter(rate.Every(30*time.Second), 3),
		unauthorizedRenewals: rate.NewLimiter(rate.Every(30*time.Second), 3),
		listReads:            singleflight.New[string, *participantIndex](singleflight.Limits{Timeout: listTimeout}),
		lifecycle:            newLifecycle(),
	}
	return d
}

// Close implements [io.Closer]: it ends what nobody waits for.
func (c *participantCache) Close() error {
	c.lifecycle.close()
	return nil
}

// lookupFunc returns the ID of a person's participant, which it looks up at the
// platform. useList asks to find it in the participant list, which costs fewer
// requests when many people are looked up.
type lookupFunc func(ctx context.Context, useList bool) (id string, err error)

// call calls f. A panic is a failure, to be remembered as others are.
func (f lookupFunc) call(ctx context.Context, useList bool) (id string, err error) {
	defer background.Recover("looking up a participant", &err)
	return f(ctx, useList)
}

// lookupKey returns the cache key of a person who comes with a claim.
func lookupKey(person delegation.Person, claim string) string {
	var space [256]byte // enough for most, without an allocation
	b := strconv.AppendQuote(space[:0], person.Realm)
	b = strconv.AppendQuote(b, person.Subject)
	if claim != person.Subject {
		b = strconv.AppendQuote(b, claim)
	}
	return string(b)
}

// resolve returns the ID of a person's participant. A hit costs no request and does
// not wait. The error is a [*delegation.Refusal], or that of ctx.
func (c *participantCache) resolve(ctx context.Context, person delegation.Person, claim string, find lookupFunc) (string, error) {
	key, now := lookupKey(person, claim), time.Now()
	if h, ok := c.hits.Get(person, key, now); ok {
		c.recheckOld(key, claim, h, now, find)
		return h.id, nil
	}
	if r := c.misses.lookup(person, claim); r != nil {
		return "", r
	}
	// A request after a purge must not get the result of a look-up before it.
	op := c.purges.Begin(&delegation.Identity{Person: person})
	defer op.End()
	flight := key + strconv.FormatUint(op.Generation(), 10)
	return c.flights.Do(ctx, flight, person, func(ctx context.Context) (string, error) {
		op, err := op.Resume()
		if err != nil {
			return "", err // nobody waits any more
		}
		defer op.End()
		// The flight before this one may have just ended.
		if h, ok := c.hits.Get(person, key, now); ok {
			return h.id, nil
		}
		defer c.lifecycle.beginLookup()()
		reserved := c.quota.spendUnknown()
		id, err := find.call(ctx, !reserved)
		var r *delegation.Refusal
		if err != nil && !errors.As(err, &r) {
			err = delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("looking up the participant: %w", err))
		}
		if reserved && !isMiss(err) {
			c.quota.refundUnknown()
		}
		c.recordLookup(key, person, claim, id, err, op)
		if err == nil && op.Purged() {
			return "", tokens.ErrPurged // no token is minted for those who waited
		}
		return id, err
	})
}

// recheckOld looks a hit up again in the background once it is an hour old, as long
// as the quota has slack.
func (c *participantCache) recheckOld(key, claim string, h *hit, now time.Time, find lookupFunc) {
	next := h.recheckAt.Load()
	if now.UnixNano() < next || !c.quota.hasSlack() || c.lifecycle.unused() {
		return
	}
	if !h.recheckAt.CompareAndSwap(next, now.Add(recheckPause).UnixNano()) {
		return
	}
	if c.backgroundChecks.Add(1) > maxBackgroundChecks {
		c.backgroundChecks.Add(-1)
		return
	}
	op := c.purges.Begin(&delegation.Identity{Person: h.person})
	background.Go("checking a participant", func() {
		defer c.backgroundChecks.Add(-1)
		defer op.End()
		ctx, cancel := context.WithTimeout(c.lifecycle.background.ctx, lookupTimeout)
		defer cancel()
		id, err := find.call(ctx, false)
		if err != nil && !isMiss(err) {
			return // the hit stays
		}
		c.recordLookup(key, h.person, claim, id, err, op)
	})
}

// isMiss reports whether a look-up ended with a decision: there is no participant
// that the person may act as.
func isMiss(err error) bool {
	r, ok := errors.AsType[*delegation.Refusal](err)
	return ok && circuit.VerdictOf(r) == circuit.PersonRefused()
}

// recordLookup remembers the result of a look-up, unless the person was purged since
// it began.
func (c *participantCache) recordLookup(key string, person delegation.Person, claim, id string, err error, op *tokens.Operation) {
	_ = op.UnlessPurged(func() {
		if err != nil {
			if isMiss(err) {
				c.hits.Delete(person, key)
			}
			c.misses.record(person, claim, delegation.AsRefusal(err))
			return
		}
		h := &hit{person: person, id: id, found: time.Now()}
		h.recheckAt.Store(h.found.Add(recheckAge).UnixNano())
		h.confirmedAt.Store(h.found.UnixNano())
		c.hits.Set(person, key, h, hitLifetime, false)
		c.misses.delete(person)
	})
}

// breakerOwner returns the owner of a look-up: a known person if the platform has
// known them as a participant before, a new one otherwise.
func (c *participantCache) breakerOwner(person delegation.Person, claim string) circuit.Owner {
	if _, ok := c.hits.Peek(person, lookupKey(person, claim)); ok {
		return circuit.KnownPerson(person)
	}
	return circuit.NewPerson(person)
}

// recheckRefused deletes a hit whose participant the issuer refuses, so that a
// person who has withdrawn is told so. The new look-up is paid from the budget for
// unknown people, and comes no more often than after a miss.
func (c *participantCache) recheckRefused(person delegation.Person, claim string) {
	key := lookupKey(person, claim)
	h, ok := c.hits.Peek(person, key)
	if ok && time.Since(h.found) >= missLifetime && c.quota.spendUnknown() {
		c.hits.Delete(person, key)
	}
}

// forget deletes the remembered look-ups of a selection, but no bindings. By
// participant or realm it deletes all misses: they are short-lived, and which
// participant a person is not nobody knows.
func (c *participantCache) forget(s delegation.Selection) {
	lookups := s
	if s.Participant != "" {
		lookups = delegation.Selection{} // a look-up under way may find the participant
	}
	defer c.purges.Add(lookups)()
	selected := func(h *hit) bool { return s.Covers(h.person, h.id) }
	if s.Realm != "" && s.Subject != "" {
		person := delegation.Person{Realm: s.Realm, Subject: s.Subject}
		c.hits.DeleteOwned(person, selected)
		c.misses.forget(person)
		return
	}
	c.hits.DeleteFunc(selected)
	c.misses.forgetAll()
}
