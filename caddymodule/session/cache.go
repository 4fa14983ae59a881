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

// maxSessions is how many verified sessions are remembered. One takes about 3 KB,
// and more if its claims are many.
const maxSessions = 10_000

// Cache remembers the verified sessions of a verifier. It implements [Verifier], and
// returns no session that is revoked or has expired. Refused credentials are not
// remembered: whoever sends forgeries would push the sessions out.
type Cache struct {
	verifier    Verifier
	revocations *Revocations
	life        time.Duration
	sessions    *lru.Cache[digest, *cachedSession]
	latest      *latestPerPerson
	hasher      *credentialHasher
}

// cachedSession is a remembered session.
type cachedSession struct {
	*Session
	checkedChanges atomic.Uint64 // as that of a sessionIdentity, for all identities
}

// NewCache returns an empty cache. A session is remembered for life at most, 0 for
// none. The revocations keep no cache alive.
func NewCache(v Verifier, r *Revocations, life time.Duration) *Cache {
	c := &Cache{
		verifier:    v,
		revocations: r,
		life:        life,
		sessions:    lru.New[digest, *cachedSession](maxSessions),
		latest:      newLatestPerPerson(life),
		hasher:      newCredentialHasher(),
	}
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
		// The answer is to a call that began for another request, and a logout came
		// in between: this request may well be from after it.
		if s, err = c.verifier.Verify(ctx, credential); err != nil {
			return nil, err
		}
		v = &cachedSession{Session: s}
	}
	switch {
	case s.expired(time.Now()):
		return nil, refuseCredential("the session has ended")
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

// Forget drops the session of a credential from the cache.
func (c *Cache) Forget(credential Credential) {
	sum := c.hasher.digest(credential)
	c.sessions.Delete(sum, string(sum[:]))
}

// forgetPerson drops the sessions of a person, or everybody's for the zero person,
// and returns those that were not revoked.
func (c *Cache) forgetPerson(who delegation.Person) (valid []*Session) {
	c.sessions.DeleteFunc(func(v *cachedSession) bool {
		if who != (delegation.Person{}) && v.identity(who) == nil {
			return false
		}
		if c.notRevoked(v) {
			valid = append(valid, v.Session)
		}
		return true
	})
	return valid
}

// RefuseRevoked returns the refusal of a revoked session.
func RefuseRevoked() error { return refuseCredential("the session was ended by a logout") }

// notRevoked tells whether the session is valid with all revocations until
// now.
func (c *Cache) notRevoked(v *cachedSession) bool {
	changes := c.revocations.changes.Load() + 1
	if v.checkedChanges.Load() == changes {
		return true
	}
	if c.revocations.Revoked(v.Session) {
		return false
	}
	v.checkedChanges.Store(changes)
	return true
}

// ForgetSessions drops the sessions of a person from all caches, everybody's for the
// zero person. n is how many of them were not revoked yet, others are the persons as
// whom these are used as well.
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
