// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// processRevocations are the process's: no reload signs anybody in again who has
// signed out, whatever it configures.
var processRevocations = session.NewRevocations()

// joinRevocations makes the revocations of sessions known to other machines,
// and theirs here.
func (a *App) joinRevocations() {
	a.revocations = processRevocations
	a.logoutLimiter = newPersonLimiter()
	a.realmNames = new(realmNames)
	a.logoutRealms = new(logoutRealms)
	a.aliases = &aliasRegistry{byNamespace: make(map[string]*aliases)}
	if a.fleet != nil {
		a.fleetSessions = a.fleet.JoinSessions(processRevocations)
	}
}

// leaveRevocations ends what joinRevocations began. Requests may still be
// draining.
func (a *App) leaveRevocations() {
	if a.fleetSessions != nil {
		a.fleetSessions.Leave()
	}
}

const (
	maxLimitedPeople = 10_000

	// A person who signs out again and again, such as by an app that does not
	// end the session, has tokens dropped and machines told so often: each
	// costs lookups at the platform, and writes to Redis. One who begins to
	// connect again and again has the platform called in the operator's name.
	personBurst    = 5
	personInterval = 10 * time.Second
)

// personLimiter is how often people do something that costs others.
type personLimiter struct {
	mu     sync.Mutex
	people *lru.Cache[delegation.Person, *rate.Limiter]
}

func newPersonLimiter() *personLimiter {
	return &personLimiter{people: lru.New[delegation.Person, *rate.Limiter](maxLimitedPeople)}
}

// Allow tells whether a person does it no oftener than people do.
func (p *personLimiter) Allow(who delegation.Person) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := strconv.Quote(who.Realm) + strconv.Quote(who.Subject)
	limiter, ok := p.people.Get(who, key, time.Now())
	if !ok {
		limiter = rate.NewLimiter(rate.Every(personInterval), personBurst)
	}
	p.people.Set(who, key, limiter, personBurst*personInterval, false)
	return limiter.Allow()
}

// publishRevocations tells the other machines what was revoked: now, or within a second. The
// error is that they cannot be told now. That Redis is down is logged, and they
// are told as soon as they can be.
func (a *App) publishRevocations(ctx context.Context, now bool, names ...session.RevocationTarget) error {
	switch {
	case a.fleetSessions == nil || len(names) == 0:
		return nil
	case now:
		return a.fleetSessions.Publish(ctx, names...)
	default:
		a.fleetSessions.Enqueue(names...)
		return nil
	}
}

// revokeSession revokes a session, and those of the same user from before, by
// every name that it is used by.
func (a *App) revokeSession(in *signedInUser) (names []session.RevocationTarget) {
	for _, person := range in.session.People() {
		names = append(names, a.revocations.Revoke(person)...)
	}
	in.forgetSession()
	return names
}
