// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

const (
	// doubtLife is how long a 401 that a new token did not cure is taken for
	// the route's own.
	doubtLife = 10 * time.Minute

	maxDoubts = 10_000

	// A person whose 401s no new token cures, on however many routes, gets a
	// new one this often at most.
	doubtBurst = 3
	doubtEvery = 30 * time.Second
)

// doubts remember whose 401s a new token did not cure, and where. Without them
// one person who keeps calling a route that the platform does not open to them
// would have a token minted for every call, and where people share a bearer,
// everybody's thrown away. And a platform whose own check of tokens is down
// would have everybody's minted anew.
type doubts struct {
	theirs *memory.Store[delegation.Person, struct{}] // by route
	people *memory.Store[delegation.Person, *rate.Limiter]
	routes *memory.Store[string, *tokens.Breaker[delegation.Person]]
	until  atomic.Int64 // when the last doubt ends, in Unix nanoseconds; 0: there was none
	noting sync.Mutex
}

func newDoubts() *doubts {
	return &doubts{
		theirs: memory.New[delegation.Person, struct{}](maxDoubts),
		people: memory.New[delegation.Person, *rate.Limiter](maxDoubts),
		routes: memory.New[string, *tokens.Breaker[delegation.Person]](maxDoubts),
	}
}

// doubtKeys name a person, a route, and the person at the route. Paths and
// subjects can be long.
type doubtKeys struct{ person, route, both string }

func keysOf(d *delegation.Delegation) doubtKeys {
	person := fmt.Sprintf("%q%q", d.Realm, d.Subject)
	route := d.Method + " " + d.Path
	digest := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return string(sum[:])
	}
	return doubtKeys{digest(person), digest(route), digest(person + route)}
}

// enter tells whether a new token is worth trying. If it is, note or clear
// should follow, and leave has to.
func (s *doubts) enter(d *delegation.Delegation) (p tokens.Pass, leave func(), ok bool) {
	if s.until.Load() == 0 {
		return 0, func() {}, true
	}
	key, now := keysOf(d), time.Now()
	if _, ok := s.theirs.Get(d.Person, key.both, now); ok {
		return 0, nil, false
	}
	if limiter, ok := s.people.Get(d.Person, key.person, now); ok && limiter.Tokens() < 1 {
		return 0, nil, false
	}
	breaker, ok := s.routes.Get(key.route, key.route, now)
	if !ok {
		return 0, func() {}, true
	}
	p, refusal := breaker.Enter()
	return p, func() { breaker.Leave(p) }, refusal == nil
}

// note that a new token did not help, which ended in r, or that nobody will
// see whether it does (nil), which says nothing about the route. However many
// requests to one route find that out at once, it counts once: they would use
// up what is meant for other routes.
func (s *doubts) note(d *delegation.Delegation, p tokens.Pass, r *delegation.Refusal) {
	key, now := keysOf(d), time.Now()
	s.noting.Lock()
	defer s.noting.Unlock()
	if _, ok := s.theirs.Get(d.Person, key.both, now); ok {
		return
	}
	s.theirs.Set(d.Person, key.both, struct{}{}, doubtLife, false)
	limiter, ok := s.people.Get(d.Person, key.person, now)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(doubtEvery), doubtBurst)
	}
	limiter.Allow()
	s.people.Set(d.Person, key.person, limiter, doubtLife, false)
	if r != nil {
		breaker, ok := s.routes.Get(key.route, key.route, now)
		if !ok {
			breaker = tokens.NewBreaker[delegation.Person]()
		}
		breaker.Fail(p, d.Person, r)
		s.routes.Set(key.route, key.route, breaker, doubtLife, false)
	}
	s.until.Store(now.Add(doubtLife).UnixNano())
}

// clear ends the doubts about a route that has answered.
func (s *doubts) clear(d *delegation.Delegation) {
	now := time.Now()
	if until := s.until.Load(); until == 0 || now.UnixNano() >= until {
		return
	}
	key := keysOf(d)
	s.theirs.Delete(d.Person, key.both)
	if breaker, ok := s.routes.Get(key.route, key.route, now); ok {
		breaker.Succeed()
	}
}
