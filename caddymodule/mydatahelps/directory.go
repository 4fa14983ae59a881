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
	hitLife    = 24 * time.Hour
	hitCheck   = time.Hour       // from this age on a hit is checked in the background
	checkAgain = 5 * time.Minute // after a check that failed

	maxHits   = 100_000
	maxChecks = 4 // at a time

	// lookupTimeout bounds one lookup, detached from whoever waits for it.
	lookupTimeout = 30 * time.Second
	// scanTimeout bounds reading the whole list.
	scanTimeout = 10 * time.Minute

	maxWaiting          = 10_000
	maxWaitingPerPerson = 500
)

// directory is what a provider knows across reloads: who is which participant,
// and what is left of the quota. It holds nothing of any one configuration.
type directory struct {
	quota *quota
	pins  *pins

	hits    *memory.Store[delegation.Person, *hit]
	misses  misses
	flights *flight.Group[delegation.Person, string]
	purges  *tokens.Purges
	breaker *blame.Breaker
	project projectKnowledge
	checks  atomic.Int32

	scans   *flight.Group[string, *index]
	mu      sync.Mutex
	current *index
	pending *index    // a scan that is not complete
	pages   int       // what the list takes, as far as is known
	scanned time.Time // when a scan last began in the background

	// How often doubts about the service token may have it renewed: a refused
	// participant who keeps asking must not.
	doubts  *rate.Limiter
	expired *rate.Limiter

	settings string // the fingerprint of those that came last
	life     life
}

type hit struct {
	who   delegation.Person
	id    string
	found time.Time
	next  atomic.Int64 // when to check it, in Unix nanoseconds
	// When the grants were last asked whether the person is bound to it, likewise.
	confirmed atomic.Int64
}

func newDirectory(pins *pins) *directory {
	d := &directory{
		quota:   newQuota(),
		pins:    pins,
		hits:    memory.New[delegation.Person, *hit](maxHits),
		misses:  newMisses(),
		flights: flight.New[delegation.Person, string](flight.Limits{Timeout: lookupTimeout, Waiting: maxWaiting, PerOwner: maxWaitingPerPerson}),
		breaker: blame.NewBreaker(),
		purges:  tokens.NewPurges(),
		doubts:  rate.NewLimiter(rate.Every(30*time.Second), 3),
		expired: rate.NewLimiter(rate.Every(30*time.Second), 3),
		scans:   flight.New[string, *index](flight.Limits{Timeout: scanTimeout}),
		life:    newLife(),
	}
	return d
}

// Close ends what nobody waits for.
func (d *directory) Close() error {
	d.life.close()
	return nil
}

// finder looks somebody up at the platform. thrifty asks to do it by the list.
type finder func(ctx context.Context, thrifty bool) (id string, err error)

// try is a look-up whose panic is a failure, to be remembered as others are.
func (f finder) try(ctx context.Context, thrifty bool) (id string, err error) {
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
func (d *directory) resolve(ctx context.Context, who delegation.Person, claim string, find finder) (string, error) {
	key, now := lookupKey(who, claim), time.Now()
	if h, ok := d.hits.Get(who, key, now); ok {
		d.check(key, claim, h, now, find)
		return h.id, nil
	}
	if r := d.misses.recall(who, claim); r != nil {
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
		defer d.life.lookup()()
		reserved := d.quota.stranger()
		id, err := find.try(ctx, !reserved)
		var r *delegation.Refusal
		if err != nil && !errors.As(err, &r) {
			err = delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("looking up the participant: %w", err))
		}
		if reserved && !isMiss(err) {
			d.quota.acquaint()
		}
		d.note(key, who, claim, id, err, op)
		if err == nil && op.Purged() {
			return "", tokens.ErrPurged // nor is a token minted for who waited
		}
		return id, err
	})
}

// check looks a hit up anew in the background once it is an hour old, while
// the quota is far from spent.
func (d *directory) check(key, claim string, h *hit, now time.Time, find finder) {
	next := h.next.Load()
	if now.UnixNano() < next || !d.quota.comfortable() || d.life.over() {
		return
	}
	if !h.next.CompareAndSwap(next, now.Add(checkAgain).UnixNano()) {
		return
	}
	if d.checks.Add(1) > maxChecks {
		d.checks.Add(-1)
		return
	}
	op := d.purges.Begin(&delegation.Identity{Person: h.who})
	background.Go("checking a participant", func() {
		defer d.checks.Add(-1)
		defer op.End()
		ctx, cancel := context.WithTimeout(d.life.unattended.ctx, lookupTimeout)
		defer cancel()
		id, err := find.try(ctx, false)
		if err != nil && !isMiss(err) {
			return // things are left as they were
		}
		d.note(key, h.who, claim, id, err, op)
	})
}

// isMiss tells whether a lookup found that there is nobody to act as.
func isMiss(err error) bool {
	r, ok := errors.AsType[*delegation.Refusal](err)
	return ok && blame.Of(r) == blame.Person()
}

// note remembers a lookup's outcome, unless the person was purged since it
// began.
func (d *directory) note(key string, who delegation.Person, claim, id string, err error, op *tokens.Operation) {
	_ = op.Unless(func() {
		if err != nil {
			if isMiss(err) {
				d.hits.Delete(who, key)
			}
			d.misses.record(who, claim, delegation.AsRefusal(err))
			return
		}
		h := &hit{who: who, id: id, found: time.Now()}
		h.next.Store(h.found.Add(hitCheck).UnixNano())
		h.confirmed.Store(h.found.UnixNano())
		d.hits.Set(who, key, h, hitLife, false)
		d.misses.found(who)
	})
}

// owner is for whom the platform is asked: somebody whom it knew as a
// participant, or one of all those whom it never knew.
func (d *directory) owner(who delegation.Person, claim string) blame.Owner {
	if _, _, ok := d.hits.Peek(d.hits.Place(who, lookupKey(who, claim))); ok {
		return blame.Known(who)
	}
	return blame.Newcomer(who)
}

// doubt drops a hit whose participant the issuer refuses, so that somebody who
// has withdrawn is told so. It is paid from the strangers' share, and no more
// often than a miss would be looked up.
func (d *directory) doubt(who delegation.Person, claim string) {
	key := lookupKey(who, claim)
	h, _, ok := d.hits.Peek(d.hits.Place(who, key))
	if ok && time.Since(h.found) >= missLife && d.quota.stranger() {
		d.hits.Delete(who, key)
	}
}

// forget drops lookups, but no pins. Misses are short-lived, and nobody knows
// which participant somebody is not: all of them go.
func (d *directory) forget(s delegation.Selection) {
	lookups := s
	if s.Participant != "" {
		lookups = delegation.Selection{} // nobody knows yet whom a lookup will find
	}
	defer d.purges.Add(lookups)()
	covered := func(h *hit) bool { return s.Covers(h.who, h.id) }
	if s.Realm != "" && s.Subject != "" {
		who := delegation.Person{Realm: s.Realm, Subject: s.Subject}
		d.hits.DeleteOf(who, covered)
		d.misses.forget(who)
		return
	}
	d.hits.DeleteFunc(covered)
	d.misses.forgetAll()
}
