// SPDX-License-Identifier: Apache-2.0

// Package unauthorized remembers the 401 responses of a platform that a renewed
// credential did not cure, and says when renewing another one is worth a call
// to the issuer.
package unauthorized

import (
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// entryLife is how long a 401 that a new credential did not cure is taken
	// for the route's own answer to this person.
	entryLife = 10 * time.Minute

	// maxEntries bounds each of the stores.
	maxEntries = 10_000

	// renewBurst and renewEvery bound the renewals of one person whose 401s no
	// new credential cures, on however many routes, and separately those in the
	// background, of which nobody sees whether they help.
	renewBurst = 3
	renewEvery = 30 * time.Second
)

// RenewalLimiter remembers, for one provider, whose 401s a renewed credential did not
// cure, and at which route. Without it one person who keeps calling a route that
// the platform does not open to them would have a token minted for every call,
// and where people share a bearer, everybody's thrown away; a platform whose own
// check of tokens is down would have everybody's minted anew. The breaker of a
// route is for the latter: 1,000 people who call one route once a minute during
// half an hour of 401s cause 76 mints with it and 3,000 without, where 500 are
// usual.
//
// Only a renewal that succeeded and did not help counts: while the issuer is
// down nobody knows whether one would. It is safe for concurrent use.
type RenewalLimiter struct {
	failures           *lru.Cache[delegation.Person, struct{}]              // by person and route
	renewedUnseen      *lru.Cache[delegation.Person, delegation.Credential] // by person and route: the credential that was replaced in the background, until a response to the new one is seen
	personLimiters     *lru.Cache[delegation.Person, *rate.Limiter]
	backgroundLimiters *lru.Cache[delegation.Person, *rate.Limiter]
	routeBreakers      *lru.Cache[string, *circuit.Breaker]
	lastExpiry         atomic.Int64 // of all entries, in Unix nanoseconds; 0: there was none
	recording          sync.Mutex
}

// New returns a limiter that has seen no failure.
func New() *RenewalLimiter {
	return &RenewalLimiter{
		failures:           lru.New[delegation.Person, struct{}](maxEntries),
		renewedUnseen:      lru.New[delegation.Person, delegation.Credential](maxEntries),
		personLimiters:     lru.New[delegation.Person, *rate.Limiter](maxEntries),
		backgroundLimiters: lru.New[delegation.Person, *rate.Limiter](maxEntries),
		routeBreakers:      lru.New[string, *circuit.Breaker](maxEntries),
	}
}

// Destruct lets Caddy's usage pool hold a RenewalLimiter; there is nothing to end.
func (*RenewalLimiter) Destruct() error { return nil }

// MayRenew reports whether a new credential is worth trying for a request that
// met a 401. If ok, RecordFailure or RecordSuccess should follow with the pass,
// and leave must be called; otherwise both are of no use.
func (l *RenewalLimiter) MayRenew(d *delegation.Delegation) (pass circuit.Permit, leave func(), ok bool) {
	if l.lastExpiry.Load() == 0 {
		return circuit.Permit{}, func() {}, true
	}
	key, now := digestsOf(d), time.Now()
	if _, failed := l.failures.Get(d.Person, key.both, now); failed {
		return circuit.Permit{}, nil, false
	}
	if limiter, found := l.personLimiters.Get(d.Person, key.person, now); found && limiter.Tokens() < 1 {
		return circuit.Permit{}, nil, false
	}
	breaker, found := l.routeBreakers.Get(key.route, key.route, now)
	if !found {
		return circuit.Permit{}, func() {}, true
	}
	pass, refusal := breaker.Allow(circuit.KnownPerson(d.Person))
	return pass, func() { breaker.Release(pass) }, refusal == nil
}

// RecordFailure notes that a new credential met a 401 as well, which ended in
// refusal. However many requests to one route find that out at once, it counts
// once: they would use up what is meant for other routes.
func (l *RenewalLimiter) RecordFailure(d *delegation.Delegation, pass circuit.Permit, refusal *delegation.Refusal) {
	key, now := digestsOf(d), time.Now()
	l.recording.Lock()
	defer l.recording.Unlock()
	l.renewedUnseen.Delete(d.Person, key.both)
	if _, failed := l.failures.Get(d.Person, key.both, now); failed {
		return
	}
	l.failures.Set(d.Person, key.both, struct{}{}, entryLife, false)
	spendRenewal(l.personLimiters, d.Person, key.person, now)
	breaker, found := l.routeBreakers.Get(key.route, key.route, now)
	if !found {
		breaker = circuit.NewBreaker()
	}
	breaker.Record(pass, circuit.KnownPerson(d.Person), circuit.ServiceFailed(refusal))
	l.routeBreakers.Set(key.route, key.route, breaker, entryLife, false)
	l.lastExpiry.Store(now.Add(entryLife).UnixNano())
}

// RecordSuccess forgets the 401s of a person at a route that has accepted their
// credential, and closes the route's breaker.
func (l *RenewalLimiter) RecordSuccess(d *delegation.Delegation) {
	now := time.Now()
	if last := l.lastExpiry.Load(); last == 0 || now.UnixNano() >= last {
		return
	}
	key := digestsOf(d)
	l.failures.Delete(d.Person, key.both)
	l.renewedUnseen.Delete(d.Person, key.both)
	if breaker, found := l.routeBreakers.Get(key.route, key.route, now); found {
		breaker.Record(circuit.Permit{}, circuit.KnownPerson(d.Person), circuit.Healthy())
	}
}

// MayRenewInBackground reports whether a credential may be renewed for a request
// that cannot be sent again.
func (l *RenewalLimiter) MayRenewInBackground(d *delegation.Delegation) bool {
	limiter, found := l.backgroundLimiters.Get(d.Person, digestsOf(d).person, time.Now())
	return !found || limiter.Tokens() >= 1
}

// RecordBackgroundRenewal notes that stale was replaced for a request that could
// not be sent again: whether the new credential helps, the next request shows.
func (l *RenewalLimiter) RecordBackgroundRenewal(d *delegation.Delegation, stale delegation.Credential) {
	key, now := digestsOf(d), time.Now()
	l.recording.Lock()
	defer l.recording.Unlock()
	spendRenewal(l.backgroundLimiters, d.Person, key.person, now)
	l.renewedUnseen.Set(d.Person, key.both, stale, entryLife, false)
	l.lastExpiry.Store(now.Add(entryLife).UnixNano())
}

// WasRenewedInBackground reports whether c, which met a 401, already is the
// replacement of one that had met a 401 at the same route.
func (l *RenewalLimiter) WasRenewedInBackground(d *delegation.Delegation, c delegation.Credential) bool {
	stale, found := l.renewedUnseen.Get(d.Person, digestsOf(d).both, time.Now())
	return found && !reflect.DeepEqual(stale, c)
}

// spendRenewal counts one renewal of a person.
func spendRenewal(limiters *lru.Cache[delegation.Person, *rate.Limiter], who delegation.Person, key string, now time.Time) {
	limiter, found := limiters.Get(who, key, now)
	if !found {
		limiter = rate.NewLimiter(rate.Every(renewEvery), renewBurst)
	}
	limiter.Allow()
	limiters.Set(who, key, limiter, entryLife, false)
}
