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

	"github.com/patrickmn/go-cache"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	hitLife    = 24 * time.Hour
	hitCheck   = time.Hour       // from this age on a hit is checked in the background
	checkAgain = 5 * time.Minute // after a check that failed
	missLife   = 30 * time.Second

	maxHits   = 100_000
	maxMisses = 10_000
	maxChecks = 4 // at a time

	// lookupTimeout bounds one lookup, detached from whoever waits for it.
	lookupTimeout = 30 * time.Second
	// scanTimeout bounds reading the whole list.
	scanTimeout = 10 * time.Minute
)

// directory is what a provider knows across reloads: who is which participant,
// what is left of the quota, and which key the platform accepts. It holds
// nothing of any one configuration.
type directory struct {
	quota *quota
	pins  *pins

	hits    *cache.Cache // lookup key → *hit
	misses  *cache.Cache // lookup key → *miss, of their own so that strangers push nobody out
	flights singleflight.Group
	checks  atomic.Int32

	scans   singleflight.Group
	mu      sync.Mutex
	current *index
	pending *index    // a scan that is not complete
	scanned time.Time // when a scan last began in the background

	key atomic.Int64 // which private key the platform accepted last

	// How often doubts about the service token may have it renewed: a refused
	// participant who keeps asking must not.
	doubts  *rate.Limiter
	expired *rate.Limiter

	connection connection

	ctx    context.Context
	cancel context.CancelFunc
}

type hit struct {
	who   delegation.Person
	id    string
	found time.Time
	next  atomic.Int64 // when to check it, in Unix nanoseconds
}

type miss struct {
	who  delegation.Person
	code delegation.Code
}

func newDirectory(pins *pins) *directory {
	d := &directory{
		quota: newQuota(),
		pins:  pins,
		// No janitors: nothing would stop their goroutines in time.
		hits:    cache.New(cache.NoExpiration, 0),
		misses:  cache.New(cache.NoExpiration, 0),
		doubts:  rate.NewLimiter(rate.Every(30*time.Second), 3),
		expired: rate.NewLimiter(rate.Every(30*time.Second), 3),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Close ends what runs in the background.
func (d *directory) Close() error {
	d.cancel()
	d.connection.close()
	return nil
}

// finder looks somebody up at the platform. thrifty asks to do it by the list.
type finder func(ctx context.Context, thrifty bool) (id string, err error)

func lookupKey(who delegation.Person, claim string) string {
	return strconv.Quote(who.Realm) + strconv.Quote(who.Subject) + strconv.Quote(claim)
}

// resolve returns the participant's ID. A hit costs nothing and never waits.
func (d *directory) resolve(ctx context.Context, who delegation.Person, claim string, find finder) (string, error) {
	key := lookupKey(who, claim)
	if v, ok := d.hits.Get(key); ok {
		h := v.(*hit)
		d.check(key, h, find)
		return h.id, nil
	}
	if v, ok := d.misses.Get(key); ok {
		return "", delegation.Refuse(v.(*miss).code, errors.New("looked up less than 30 s ago"))
	}
	landed := d.flights.DoChan(key, func() (any, error) {
		// Who arrives just after a flight has landed finds its outcome here.
		if v, ok := d.hits.Get(key); ok {
			return v.(*hit).id, nil
		}
		ctx, cancel := context.WithTimeout(d.ctx, lookupTimeout)
		defer cancel()
		reserved := d.quota.stranger()
		id, err := find(ctx, !reserved)
		var r *delegation.Refusal
		if err != nil && !errors.As(err, &r) {
			err = delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("looking up the participant: %w", err))
		}
		if reserved && !isMiss(err) {
			d.quota.acquaint()
		}
		d.note(key, who, id, err)
		return id, err
	})
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case res := <-landed:
		return res.Val.(string), res.Err
	}
}

// check looks a hit up anew in the background once it is an hour old, while
// the quota is far from spent.
func (d *directory) check(key string, h *hit, find finder) {
	now := time.Now()
	next := h.next.Load()
	if now.UnixNano() < next || !d.quota.comfortable() || d.ctx.Err() != nil {
		return
	}
	if !h.next.CompareAndSwap(next, now.Add(checkAgain).UnixNano()) {
		return
	}
	if d.checks.Add(1) > maxChecks {
		d.checks.Add(-1)
		return
	}
	go func() {
		defer d.checks.Add(-1)
		ctx, cancel := context.WithTimeout(d.ctx, lookupTimeout)
		defer cancel()
		id, err := find(ctx, false)
		d.note(key, h.who, id, err)
	}()
}

// isMiss tells whether a lookup found that there is nobody to act as.
func isMiss(err error) bool {
	var r *delegation.Refusal
	if !errors.As(err, &r) {
		return false
	}
	switch r.Code {
	case delegation.ParticipantUnknown, delegation.ParticipantAmbiguous, delegation.ParticipantWithdrawn, delegation.AccountConflict:
		return true
	default:
		return false
	}
}

// note remembers a lookup's outcome; a failure leaves things as they were.
func (d *directory) note(key string, who delegation.Person, id string, err error) {
	if err != nil {
		if isMiss(err) {
			d.hits.Delete(key)
			keep(d.misses, key, &miss{who, delegation.AsRefusal(err).Code}, missLife, maxMisses)
		}
		return
	}
	h := &hit{who: who, id: id, found: time.Now()}
	h.next.Store(h.found.Add(hitCheck).UnixNano())
	keep(d.hits, key, h, hitLife, maxHits)
}

// keep stores a value. A full cache first drops what has expired, then any
// tenth of the rest.
func keep(c *cache.Cache, key string, value any, life time.Duration, limit int) {
	if c.ItemCount() >= limit {
		c.DeleteExpired()
	}
	if c.ItemCount() >= limit {
		drop := limit / 10
		for k := range c.Items() {
			if drop == 0 {
				break
			}
			c.Delete(k)
			drop--
		}
	}
	c.Set(key, value, life)
}

// doubt drops a hit whose participant the issuer refuses, so that somebody who
// has withdrawn is told so. It is paid from the strangers' share, and no more
// often than a miss would be looked up.
func (d *directory) doubt(who delegation.Person, claim string) {
	key := lookupKey(who, claim)
	v, ok := d.hits.Get(key)
	if ok && time.Since(v.(*hit).found) >= missLife && d.quota.stranger() {
		d.hits.Delete(key)
	}
}

// forget drops a person's lookups, but not their pin: signing out and in again
// must not make somebody another participant.
func (d *directory) forget(who delegation.Person) {
	for key, item := range d.hits.Items() {
		if item.Object.(*hit).who == who {
			d.hits.Delete(key)
		}
	}
	for key, item := range d.misses.Items() {
		if item.Object.(*miss).who == who {
			d.misses.Delete(key)
		}
	}
}
