// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// suspendEvery is how often another person's grant may be suspended, and
	// suspendAtOnce how many at once.
	suspendEvery  = 20 * time.Second
	suspendAtOnce = 3
	// probeSuspendedAfter is how long a suspended grant is left alone. Then it is
	// probed: it may have been the platform's fault.
	probeSuspendedAfter = 10 * time.Minute
	// probeRetryAfter is the same after a probe that has told nothing of the
	// credential.
	probeRetryAfter = 30 * time.Second
)

// pace bounds suspensions and probes. A platform that for a moment refuses
// everybody must not have everybody asked to consent anew.
type pace struct {
	suspensions *rate.Limiter
	// suspended are the people whose grants were suspended within suspendEvery: of
	// one person it counts once.
	suspended *lru.Cache[delegation.Person, struct{}]
	// probed are the people whose grants were probed within probeRetryAfter.
	probed *lru.Cache[delegation.Person, struct{}]
}

// maySuspend tells whether a person's grant may be suspended now: three at once,
// then one in 20 s.
func (p *pace) maySuspend(person delegation.Person) bool {
	if _, ok := p.suspended.Get(person, cacheKey(person), time.Now()); ok {
		return true
	}
	if !p.suspensions.Allow() {
		return false
	}
	p.suspended.Set(person, cacheKey(person), struct{}{}, suspendEvery, false)
	return true
}

// mayProbe tells whether a person's suspended grant may be probed now. It is called
// by one at a time for each person.
func (p *pace) mayProbe(person delegation.Person) bool {
	if _, ok := p.probed.Get(person, cacheKey(person), time.Now()); ok {
		return false
	}
	p.probed.Set(person, cacheKey(person), struct{}{}, probeRetryAfter, false)
	return true
}
