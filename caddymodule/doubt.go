// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
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
// everybody's thrown away.
type doubts struct {
	routes *memory.Store[delegation.Person, struct{}]
	people *memory.Store[delegation.Person, *rate.Limiter]
	until  atomic.Int64 // when the last doubt ends, in Unix nanoseconds; 0: there was none
	noting sync.Mutex
}

func newDoubts() *doubts {
	return &doubts{
		routes: memory.New[delegation.Person, struct{}](maxDoubts),
		people: memory.New[delegation.Person, *rate.Limiter](maxDoubts),
	}
}

func routeKey(d *delegation.Delegation) string {
	sum := sha256.Sum256([]byte(d.Method + " " + d.Path))
	return string(sum[:])
}

// renewable tells whether a new token is worth trying.
func (s *doubts) renewable(d *delegation.Delegation) bool {
	if s.until.Load() == 0 {
		return true
	}
	now := time.Now()
	if _, ok := s.routes.Get(d.Person, routeKey(d), now); ok {
		return false
	}
	limiter, ok := s.people.Get(d.Person, "", now)
	return !ok || limiter.Tokens() >= 1
}

// note that a new token did not help, or that nobody will see whether it does.
// However many requests to one route find that out at once, it counts once:
// they would use up what is meant for other routes.
func (s *doubts) note(d *delegation.Delegation) {
	key, now := routeKey(d), time.Now()
	s.noting.Lock()
	defer s.noting.Unlock()
	if _, ok := s.routes.Get(d.Person, key, now); ok {
		return
	}
	s.routes.Set(d.Person, key, struct{}{}, doubtLife, false)
	limiter, ok := s.people.Get(d.Person, "", now)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(doubtEvery), doubtBurst)
	}
	limiter.Allow()
	s.people.Set(d.Person, "", limiter, doubtLife, false)
	s.until.Store(now.Add(doubtLife).UnixNano())
}

// clear ends the doubts about a route that has answered.
func (s *doubts) clear(d *delegation.Delegation) {
	if until := s.until.Load(); until != 0 && time.Now().UnixNano() < until {
		s.routes.Delete(d.Person, routeKey(d))
	}
}
