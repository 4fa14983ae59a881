// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// unauthorizedLife is how long a 401 that a new credential did not cure is
	// taken for the route's own.
	unauthorizedLife = 10 * time.Minute

	maxUnauthorized = 10_000

	// A person whose 401s no new credential cures, on however many routes, gets
	// a new one this often at most. The same for those of which nobody sees
	// whether they do.
	renewBurst = 3
	renewEvery = 30 * time.Second
)

// unauthorizedHistory remembers whose 401s a new credential did not cure, and
// where. Without it one person who keeps calling a route that the platform does
// not open to them would have a token minted for every call, and where people
// share a bearer, everybody's thrown away. And a platform whose own check of
// tokens is down would have everybody's minted anew.
//
// Only a renewal that succeeded and did not help counts: while the issuer is
// down nobody knows whether one would.
type unauthorizedHistory struct {
	failures           *memory.Cache[delegation.Person, struct{}]              // by route
	renewedUnseen      *memory.Cache[delegation.Person, delegation.Credential] // by route: the one that was renewed, and no answer to the new one was seen
	personLimiters     *memory.Cache[delegation.Person, *rate.Limiter]
	backgroundLimiters *memory.Cache[delegation.Person, *rate.Limiter]
	routeBreakers      *memory.Cache[string, *blame.Breaker]
	lastExpiry         atomic.Int64 // when the last entry ends, in Unix nanoseconds; 0: there was none
	recording          sync.Mutex
}

func newUnauthorizedHistory() *unauthorizedHistory {
	return &unauthorizedHistory{
		failures:           memory.New[delegation.Person, struct{}](maxUnauthorized),
		renewedUnseen:      memory.New[delegation.Person, delegation.Credential](maxUnauthorized),
		personLimiters:     memory.New[delegation.Person, *rate.Limiter](maxUnauthorized),
		backgroundLimiters: memory.New[delegation.Person, *rate.Limiter](maxUnauthorized),
		routeBreakers:      memory.New[string, *blame.Breaker](maxUnauthorized),
	}
}

// unauthorizedKeys name a person, a route, and the person at the route. Paths
// and subjects can be long.
type unauthorizedKeys struct{ person, route, both string }

func newUnauthorizedKeys(d *delegation.Delegation) unauthorizedKeys {
	person := fmt.Sprintf("%q%q", d.Realm, d.Subject)
	route := d.Method + " " + d.Path
	digest := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return string(sum[:])
	}
	return unauthorizedKeys{digest(person), digest(route), digest(person + route)}
}

// mayRenew tells whether a new credential is worth trying. If it is, recordFailure
// or recordSuccess should follow, and leave has to.
func (h *unauthorizedHistory) mayRenew(d *delegation.Delegation) (p blame.Permit, leave func(), ok bool) {
	if h.lastExpiry.Load() == 0 {
		return blame.Permit{}, func() {}, true
	}
	key, now := newUnauthorizedKeys(d), time.Now()
	if _, ok := h.failures.Get(d.Person, key.both, now); ok {
		return blame.Permit{}, nil, false
	}
	if limiter, ok := h.personLimiters.Get(d.Person, key.person, now); ok && limiter.Tokens() < 1 {
		return blame.Permit{}, nil, false
	}
	breaker, ok := h.routeBreakers.Get(key.route, key.route, now)
	if !ok {
		return blame.Permit{}, func() {}, true
	}
	p, refusal := breaker.Allow(blame.KnownPerson(d.Person))
	return p, func() { breaker.Release(p) }, refusal == nil
}

// recordFailure notes that a new credential met a 401 as well, which ended in
// r. However many requests to one route find that out at once, it counts once:
// they would use up what is meant for other routes.
func (h *unauthorizedHistory) recordFailure(d *delegation.Delegation, p blame.Permit, r *delegation.Refusal) {
	key, now := newUnauthorizedKeys(d), time.Now()
	h.recording.Lock()
	defer h.recording.Unlock()
	h.renewedUnseen.Delete(d.Person, key.both)
	if _, ok := h.failures.Get(d.Person, key.both, now); ok {
		return
	}
	h.failures.Set(d.Person, key.both, struct{}{}, unauthorizedLife, false)
	takeRenewal(h.personLimiters, d.Person, key.person, now)
	breaker, ok := h.routeBreakers.Get(key.route, key.route, now)
	if !ok {
		breaker = blame.NewBreaker()
	}
	breaker.Record(p, blame.KnownPerson(d.Person), blame.ServiceFailed(r))
	h.routeBreakers.Set(key.route, key.route, breaker, unauthorizedLife, false)
	h.lastExpiry.Store(now.Add(unauthorizedLife).UnixNano())
}

// recordSuccess ends what is remembered of a route that has answered.
func (h *unauthorizedHistory) recordSuccess(d *delegation.Delegation) {
	now := time.Now()
	if until := h.lastExpiry.Load(); until == 0 || now.UnixNano() >= until {
		return
	}
	key := newUnauthorizedKeys(d)
	h.failures.Delete(d.Person, key.both)
	h.renewedUnseen.Delete(d.Person, key.both)
	if breaker, ok := h.routeBreakers.Get(key.route, key.route, now); ok {
		breaker.Record(blame.Permit{}, blame.KnownPerson(d.Person), blame.Healthy())
	}
}

// mayRenewInBackground tells whether a credential may be renewed for a request that
// cannot be sent again.
func (h *unauthorizedHistory) mayRenewInBackground(d *delegation.Delegation) bool {
	limiter, ok := h.backgroundLimiters.Get(d.Person, newUnauthorizedKeys(d).person, time.Now())
	return !ok || limiter.Tokens() >= 1
}

// recordBackgroundRenewal notes that a credential was renewed for a request that could not
// be sent again: whether that helps, the next one shows.
func (h *unauthorizedHistory) recordBackgroundRenewal(d *delegation.Delegation, stale delegation.Credential) {
	key, now := newUnauthorizedKeys(d), time.Now()
	h.recording.Lock()
	defer h.recording.Unlock()
	takeRenewal(h.backgroundLimiters, d.Person, key.person, now)
	h.renewedUnseen.Set(d.Person, key.both, stale, unauthorizedLife, false)
	h.lastExpiry.Store(now.Add(unauthorizedLife).UnixNano())
}

// wasRenewedInBackground tells whether a credential that met a 401 is one that was renewed
// because of the 401 that an older one had met there.
func (h *unauthorizedHistory) wasRenewedInBackground(d *delegation.Delegation, c delegation.Credential) bool {
	stale, ok := h.renewedUnseen.Get(d.Person, newUnauthorizedKeys(d).both, time.Now())
	return ok && !reflect.DeepEqual(stale, c)
}

// takeRenewal takes one of a person's renewals.
func takeRenewal(limiters *memory.Cache[delegation.Person, *rate.Limiter], who delegation.Person, key string, now time.Time) {
	limiter, ok := limiters.Get(who, key, now)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(renewEvery), renewBurst)
	}
	limiter.Allow()
	limiters.Set(who, key, limiter, unauthorizedLife, false)
}
