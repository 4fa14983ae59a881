// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
	"weak"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

// maxSessions is how many verified sessions are remembered. One takes about
// 3 KB, and much more if the issuer says much.
const maxSessions = 10_000

// Cache remembers sessions that were verified, until they end. Only those: who
// sends forgeries would push the others out. It implements [Verifier].
type Cache struct {
	verifier    Verifier
	revocations *Revocations
	life        time.Duration
	sessions    *lru.Cache[digest, *cachedSession]
	latest      *latestPerPerson
	hasher      *credentialHasher
}

// cachedSession is a session that is remembered.
type cachedSession struct {
	*Session
	generation atomic.Uint64 // the generation of revocations, and one, that it was looked up in
}

// NewCache remembers what the verifier says for as long as life at most,
// unless it is revoked.
func NewCache(v Verifier, r *Revocations, life time.Duration) *Cache {
	c := &Cache{verifier: v, revocations: r, life: life, sessions: lru.New[digest, *cachedSession](maxSessions), latest: newLatestPerPerson(life), hasher: newCredentialHasher()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.caches = append(r.caches, weak.Make(c))
	return c
}

// Verify implements [Verifier].
func (c *Cache) Verify(ctx context.Context, credential Credential) (*Session, error) {
	sum, now := c.hasher.digest(credential), time.Now()
	name := string(sum[:])
	if v, ok := c.sessions.Get(sum, name, now); ok && !v.expired(now) && c.notRevoked(v) {
		return v.Session, nil
	}
	s, err := c.verifier.Verify(ctx, credential)
	if err != nil {
		return nil, err
	}
	v := &cachedSession{Session: s}
	if s.remote && s.IssuedBefore.Before(now) && !c.notRevoked(v) {
		// The answer is to a question that somebody else had asked before, and
		// a logout came in between: this request may well be from after it.
		if s, err = c.verifier.Verify(ctx, credential); err != nil {
			return nil, err
		}
		v = &cachedSession{Session: s}
	}
	switch {
	case s.expired(time.Now()):
		return nil, refuse("the session has ended")
	case !c.notRevoked(v):
		return nil, RefuseRevoked()
	}
	life := c.life
	if !s.Expires.IsZero() {
		life = min(life, time.Until(s.Expires))
	}
	if life > 0 {
		c.sessions.Set(sum, name, v, life, false)
		if oldest, over := c.latest.add(sum, s.person(s.Realm)); over {
			c.sessions.Delete(oldest, string(oldest[:]))
		}
	}
	return s, nil
}

// Forget drops what is remembered of a credential.
func (c *Cache) Forget(credential Credential) {
	sum := c.hasher.digest(credential)
	c.sessions.Delete(sum, string(sum[:]))
}

// forgetPerson drops the sessions of a person, and returns those that were good.
func (c *Cache) forgetPerson(who delegation.Person) (good []*Session) {
	c.sessions.DeleteFunc(func(v *cachedSession) bool {
		if who != (delegation.Person{}) && v.identity(who) == nil {
			return false
		}
		if c.notRevoked(v) {
			good = append(good, v.Session)
		}
		return true
	})
	return good
}

// RefuseRevoked is the refusal of a session that is revoked.
func RefuseRevoked() error { return refuse("the session was ended by a logout") }

// notRevoked tells whether the session is not revoked.
func (c *Cache) notRevoked(v *cachedSession) bool {
	generation := c.revocations.generation.Load() + 1
	if v.generation.Load() == generation {
		return true
	}
	if c.revocations.Revoked(v.Session) {
		return false
	}
	v.generation.Store(generation)
	return true
}

// ForgetSessions drops the sessions that are remembered by a person's name, and counts
// those that were not revoked yet. It returns the other names that these are
// used by. The zero person is everybody.
func (r *Revocations) ForgetSessions(who delegation.Person) (n int, others []delegation.Person) {
	r.mu.Lock()
	r.caches = slices.DeleteFunc(r.caches, func(p weak.Pointer[Cache]) bool { return p.Value() == nil })
	caches := slices.Clone(r.caches)
	r.mu.Unlock()
	for _, p := range caches {
		c := p.Value()
		if c == nil {
			continue
		}
		for _, s := range c.forgetPerson(who) {
			n++
			for _, other := range s.People() {
				if who != (delegation.Person{}) && other != who && !slices.Contains(others, other) {
					others = append(others, other)
				}
			}
		}
	}
	return n, others
}
