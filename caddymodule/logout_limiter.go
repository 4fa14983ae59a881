// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// maxLimitedPeople is how many people are remembered by a limiter.
	maxLimitedPeople = 10_000

	// personBurst is how often a person may act at once, and personInterval the time
	// after which once more. A person who signs out again and again, such as by an app
	// that does not end the session, has tokens dropped and other machines told as
	// often: each costs lookups at the platform, and writes to Redis. A person who
	// starts to connect again and again has the platform called in the operator's name.
	personBurst    = 5
	personInterval = 10 * time.Second
)

// personLimiter limits how often each person does something that costs others. Safe for
// concurrent use.
type personLimiter struct {
	mu     sync.Mutex
	people *lru.Cache[delegation.Person, *rate.Limiter]
}

func newPersonLimiter() *personLimiter {
	return &personLimiter{people: lru.New[delegation.Person, *rate.Limiter](maxLimitedPeople)}
}

// Allow tells whether a person may act now, and counts it if so.
func (l *personLimiter) Allow(who delegation.Person) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := strconv.Quote(who.Realm) + strconv.Quote(who.Subject)
	limiter, ok := l.people.Get(who, key, time.Now())
	if !ok {
		limiter = rate.NewLimiter(rate.Every(personInterval), personBurst)
	}
	l.people.Set(who, key, limiter, personBurst*personInterval, false)
	return limiter.Allow()
}
