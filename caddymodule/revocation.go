// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// revocations are the process's: no reload signs anybody in again who has
// signed out, whatever it configures.
var revocations = session.NewRevocations()

// joinRevocations makes the revocations of sessions known to other machines,
// and theirs here.
func (a *App) joinRevocations() {
	a.revocations = revocations
	a.logouts = newPace()
	a.realms = new(realms)
	a.logoutRealms = new(logoutRealms)
	a.names = &names{ofAll: make(map[string]*aliases)}
	if a.fleet != nil {
		a.sessions = a.fleet.JoinSessions(revocations)
	}
}

// leaveRevocations ends what joinRevocations began. Requests may still be
// draining.
func (a *App) leaveRevocations() {
	if a.sessions != nil {
		a.sessions.Leave()
	}
}

const (
	maxPaced = 10_000

	// A person who signs out again and again, such as by an app that does not
	// end the session, has tokens dropped and machines told so often: each
	// costs lookups at the platform, and writes to Redis. One who begins to
	// connect again and again has the platform called in the operator's name.
	paceBurst = 5
	paceEvery = 10 * time.Second
)

// pace is how often people do something that costs others.
type pace struct {
	mu     sync.Mutex
	people *memory.Store[delegation.Person, *rate.Limiter]
}

func newPace() *pace {
	return &pace{people: memory.New[delegation.Person, *rate.Limiter](maxPaced)}
}

// usual tells whether a person does it no oftener than people do.
func (p *pace) usual(who delegation.Person) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := strconv.Quote(who.Realm) + strconv.Quote(who.Subject)
	limiter, ok := p.people.Get(who, key, time.Now())
	if !ok {
		limiter = rate.NewLimiter(rate.Every(paceEvery), paceBurst)
	}
	p.people.Set(who, key, limiter, paceBurst*paceEvery, false)
	return limiter.Allow()
}

// tell tells the other machines what was revoked: now, or within a second. The
// error is that they cannot be told now. That Redis is down is logged, and they
// are told as soon as they can be.
func (a *App) tell(ctx context.Context, now bool, names ...session.Name) error {
	switch {
	case a.sessions == nil || len(names) == 0:
		return nil
	case now:
		return a.sessions.Tell(ctx, names...)
	default:
		a.sessions.Later(names...)
		return nil
	}
}

// revokeUsed revokes a session, and those of the same user from before, by
// every name that it is used by.
func (a *App) revokeUsed(in *signedIn) (names []session.Name) {
	for _, person := range in.session.People() {
		names = append(names, a.revocations.Revoke(person)...)
	}
	in.forget()
	return names
}
