// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

// maxSessions is how many verified sessions are remembered. One takes about
// 3 KB, and much more if the issuer says much.
const maxSessions = 10_000

// Cache remembers sessions that were verified, until they end. Only those: who
// sends forgeries would push the others out. It implements [Verifier].
type Cache struct {
	verifier Verifier
	endings  *Endings
	life     time.Duration
	sessions *memory.Store[digest, *verified]
	digests  *digests
}

// verified is a session that is remembered.
type verified struct {
	*Session
	current atomic.Uint64 // the generation of endings, and one, that it was looked up in
}

// NewCache remembers what the verifier says for as long as life at most,
// unless the endings say otherwise.
func NewCache(v Verifier, e *Endings, life time.Duration) *Cache {
	return &Cache{verifier: v, endings: e, life: life, sessions: memory.New[digest, *verified](maxSessions), digests: newDigests()}
}

// Verify implements [Verifier].
func (c *Cache) Verify(ctx context.Context, credential Credential) (*Session, error) {
	sum, now := c.digests.of(credential), time.Now()
	name := string(sum[:])
	if v, ok := c.sessions.Get(sum, name, now); ok && !v.ends(now) && c.current(v) {
		return v.Session, nil
	}
	s, err := c.verifier.Verify(ctx, credential)
	if err != nil {
		return nil, err
	}
	v := &verified{Session: s}
	if s.asked && s.Vouched.Before(now) && !c.current(v) {
		// The answer is to a question that somebody else had asked before, and
		// a logout came in between: this request may well be from after it.
		if s, err = c.verifier.Verify(ctx, credential); err != nil {
			return nil, err
		}
		v = &verified{Session: s}
	}
	switch {
	case s.ends(time.Now()):
		return nil, refuse("the session has ended")
	case !c.current(v):
		return nil, refuse("the session was ended by a logout")
	}
	life := c.life
	if !s.Expires.IsZero() {
		life = min(life, time.Until(s.Expires))
	}
	if life > 0 {
		c.sessions.Set(sum, name, v, life, false)
	}
	return s, nil
}

// current tells whether no logout has ended the session.
func (c *Cache) current(v *verified) bool {
	generation := c.endings.generation.Load() + 1
	if v.current.Load() == generation {
		return true
	}
	if c.endings.Ended(v.Session) {
		return false
	}
	v.current.Store(generation)
	return true
}
