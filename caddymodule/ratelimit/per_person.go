// SPDX-License-Identifier: Apache-2.0

// Package ratelimit limits how often each person does something that costs others.
package ratelimit

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// maxPeople is how many people are remembered by a limiter.
	maxPeople = 10_000

	// burst is how often a person may act at once. A person who signs out again and
	// again, such as by an app that does not end the session, has tokens dropped and
	// other machines told as often: each costs lookups at the platform, and writes to
	// Redis. A person who starts to connect again and again has the platform called in
	// the operator's name.
	burst = 5

	// Interval is the time after which a person may act once more.
	Interval = 10 * time.Second
)

// PerPerson limits how often each person does something that costs others. Safe for
// concurrent use.
type PerPerson struct {
	mu     sync.Mutex
	people *lru.Cache[delegation.Person, *rate.Limiter]
}

// New returns a limiter that nobody has used.
func New() *PerPerson {
	return &PerPerson{people: lru.New[delegation.Person, *rate.Limiter](maxPeople)}
}

// Allow tells whether a person may act now, and counts it if so.
func (l *PerPerson) Allow(who delegation.Person) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, ok := l.people.Get(who, key(who), time.Now())
	if !ok {
		limiter = rate.NewLimiter(rate.Every(Interval), burst)
	}
	l.people.Set(who, key(who), limiter, burst*Interval, false)
	return limiter.Allow()
}

// Left returns how often a person may act now. It counts nothing.
func (l *PerPerson) Left(who delegation.Person) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, ok := l.people.Get(who, key(who), time.Now())
	if !ok {
		return burst
	}
	return int(limiter.Tokens())
}

func key(who delegation.Person) string { return strconv.Quote(who.Realm) + strconv.Quote(who.Subject) }
