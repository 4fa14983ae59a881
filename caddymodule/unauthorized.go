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
	theirs     *memory.Store[delegation.Person, struct{}]              // by route
	unseen     *memory.Store[delegation.Person, delegation.Credential] // by route: the one that was renewed, and no answer to the new one was seen
	people     *memory.Store[delegation.Person, *rate.Limiter]
	background *memory.Store[delegation.Person, *rate.Limiter]
	routes     *memory.Store[string, *blame.Breaker]
	until      atomic.Int64 // when the last entry ends, in Unix nanoseconds; 0: there was none
	recording  sync.Mutex
}

func newUnauthorizedHistory() *unauthorizedHistory {
	return &unauthorizedHistory{
		theirs:     memory.New[delegation.Person, struct{}](maxUnauthorized),
		unseen:     memory.New[delegation.Person, delegation.Credential](maxUnauthorized),
		people:     memory.New[delegation.Person, *rate.Limiter](maxUnauthorized),
		background: memory.New[delegation.Person, *rate.Limiter](maxUnauthorized),
		routes:     memory.New[string, *blame.Breaker](maxUnauthorized),
	}
}

// unauthorizedKeys name a person, a route, and the person at the route. Paths
// and subjects can be long.
type unauthorizedKeys struct{ person, route, both string }

func unauthorizedKeysOf(d *delegation.Delegation) unauthorizedKeys {
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
func (h *unauthorizedHistory) mayRenew(d *delegation.Delegation) (p blame.Pass, leave func(), ok bool) {
	if h.until.Load() == 0 {
		return blame.Pass{}, func() {}, true
	}
	key, now := unauthorizedKeysOf(d), time.Now()
	if _, ok := h.theirs.Get(d.Person, key.both, now); ok {
		return blame.Pass{}, nil, false
	}
	if limiter, ok := h.people.Get(d.Person, key.person, now); ok && limiter.Tokens() < 1 {
		return blame.Pass{}, nil, false
	}
	breaker, ok := h.routes.Get(key.route, key.route, now)
	if !ok {
		return blame.Pass{}, func() {}, true
	}
	p, refusal := breaker.Enter(blame.Known(d.Person))
	return p, func() { breaker.Leave(p) }, refusal == nil
}

// recordFailure notes that a new credential met a 401 as well, which ended in
// r. However many requests to one route find that out at once, it counts once:
// they would use up what is meant for other routes.
func (h *unauthorizedHistory) recordFailure(d *delegation.Delegation, p blame.Pass, r *delegation.Refusal) {
	key, now := unauthorizedKeysOf(d), time.Now()
	h.recording.Lock()
	defer h.recording.Unlock()
	h.unseen.Delete(d.Person, key.both)
	if _, ok := h.theirs.Get(d.Person, key.both, now); ok {
		return
	}
	h.theirs.Set(d.Person, key.both, struct{}{}, unauthorizedLife, false)
	take(h.people, d.Person, key.person, now)
	breaker, ok := h.routes.Get(key.route, key.route, now)
	if !ok {
		breaker = blame.NewBreaker()
	}
	breaker.Record(p, blame.Known(d.Person), blame.Service(r))
	h.routes.Set(key.route, key.route, breaker, unauthorizedLife, false)
	h.until.Store(now.Add(unauthorizedLife).UnixNano())
}

// recordSuccess ends what is remembered of a route that has answered.
func (h *unauthorizedHistory) recordSuccess(d *delegation.Delegation) {
	now := time.Now()
	if until := h.until.Load(); until == 0 || now.UnixNano() >= until {
		return
	}
	key := unauthorizedKeysOf(d)
	h.theirs.Delete(d.Person, key.both)
	h.unseen.Delete(d.Person, key.both)
	if breaker, ok := h.routes.Get(key.route, key.route, now); ok {
		breaker.Record(blame.Pass{}, blame.Known(d.Person), blame.Well())
	}
}

// mayRenewUnseen tells whether a credential may be renewed for a request that
// cannot be sent again.
func (h *unauthorizedHistory) mayRenewUnseen(d *delegation.Delegation) bool {
	limiter, ok := h.background.Get(d.Person, unauthorizedKeysOf(d).person, time.Now())
	return !ok || limiter.Tokens() >= 1
}

// recordUnseen notes that a credential was renewed for a request that could not
// be sent again: whether that helps, the next one shows.
func (h *unauthorizedHistory) recordUnseen(d *delegation.Delegation, stale delegation.Credential) {
	key, now := unauthorizedKeysOf(d), time.Now()
	h.recording.Lock()
	defer h.recording.Unlock()
	take(h.background, d.Person, key.person, now)
	h.unseen.Set(d.Person, key.both, stale, unauthorizedLife, false)
	h.until.Store(now.Add(unauthorizedLife).UnixNano())
}

// wasRenewed tells whether a credential that met a 401 is one that was renewed
// because of the 401 that an older one had met there.
func (h *unauthorizedHistory) wasRenewed(d *delegation.Delegation, c delegation.Credential) bool {
	stale, ok := h.unseen.Get(d.Person, unauthorizedKeysOf(d).both, time.Now())
	return ok && !reflect.DeepEqual(stale, c)
}

// take takes one of a person's renewals.
func take(limiters *memory.Store[delegation.Person, *rate.Limiter], who delegation.Person, key string, now time.Time) {
	limiter, ok := limiters.Get(who, key, now)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(renewEvery), renewBurst)
	}
	limiter.Allow()
	limiters.Set(who, key, limiter, unauthorizedLife, false)
}
