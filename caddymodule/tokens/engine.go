// SPDX-License-Identifier: Apache-2.0

// Package tokens keeps delegated tokens and has them minted: one mint per
// exact identity at a time, whoever asks and whoever leaves meanwhile.
package tokens

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patrickmn/go-cache"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// maxSkew is how long before its expiry a token is no longer used, so that
	// it does not expire on its way. Shorter for tokens that live less than
	// five minutes.
	maxSkew = 30 * time.Second

	sweepEvery = time.Minute
)

var errForgotten = delegation.Refuse(delegation.SessionRequired, errors.New("the person was forgotten while the token was being minted"))

// Engine is one provider's tokens. It implements [delegation.Tokens]. It
// starts no goroutine of its own but for mints, which end by their deadline.
type Engine struct {
	timeout time.Duration
	entries *cache.Cache // key → *entry
	flights singleflight.Group

	// epoch counts purges. A mint that began before its person was forgotten
	// must neither be stored nor used, or a logout would lose the race.
	mu        sync.Mutex
	epoch     uint64
	forgotten *cache.Cache // person → epoch

	swept atomic.Int64
}

type entry struct {
	id    delegation.Identity
	token *delegation.Token
}

// New returns an engine whose mints may take timeout at most; zero means 10 s.
func New(timeout time.Duration) *Engine {
	if timeout <= 0 {
		timeout = delegation.DefaultTimeout
	}
	return &Engine{
		timeout: timeout,
		// No janitor: its goroutine is stopped by a finalizer only, and a
		// sweep of a large cache holds the lock for long.
		entries:   cache.New(cache.NoExpiration, 0),
		forgotten: cache.New(cache.NoExpiration, 0),
	}
}

// Get implements [delegation.Tokens].
func (e *Engine) Get(ctx context.Context, id delegation.Identity, mint delegation.Mint) (*delegation.Token, bool, error) {
	k := key(&id)
	if t := e.lookup(k, &id); t != nil {
		return t, true, nil
	}
	t, err := e.fly(ctx, k, id, nil, mint)
	return t, false, err
}

// Renew implements [delegation.Tokens].
func (e *Engine) Renew(ctx context.Context, id delegation.Identity, stale *delegation.Token, mint delegation.Mint) (*delegation.Token, error) {
	k := key(&id)
	if t := e.lookup(k, &id); t != nil && t != stale {
		return t, nil
	}
	return e.fly(ctx, k, id, stale, mint)
}

// Forget implements [delegation.Tokens].
func (e *Engine) Forget(p delegation.Person) {
	e.mu.Lock()
	e.epoch++
	// Remembered for as long as a mint that began before can still be in flight.
	e.forgotten.Set(personKey(p), e.epoch, 2*e.timeout)
	e.mu.Unlock()
	for k, item := range e.entries.Items() {
		if item.Object.(*entry).id.Person == p {
			e.entries.Delete(k)
		}
	}
}

func (e *Engine) lookup(k string, id *delegation.Identity) *delegation.Token {
	v, ok := e.entries.Get(k)
	if !ok {
		return nil
	}
	if en := v.(*entry); same(&en.id, id) {
		return en.token
	}
	return nil
}

// fly mints a token other than stale, once for everybody who asks meanwhile.
// The flight is detached: a leader who leaves harms nobody, and a waiter who
// leaves stops waiting at once.
func (e *Engine) fly(ctx context.Context, k string, id delegation.Identity, stale *delegation.Token, mint delegation.Mint) (*delegation.Token, error) {
	for {
		landed := e.flights.DoChan(k, func() (any, error) {
			// Who arrives just after a flight has landed finds its token here.
			if t := e.lookup(k, &id); t != nil && t != stale {
				return t, nil
			}
			return e.mint(ctx, k, id, mint)
		})
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case res := <-landed:
			if res.Err != nil {
				return nil, res.Err
			}
			// A flight begun by somebody who did not know that the token is
			// stale may answer with just that one.
			if t := res.Val.(*delegation.Token); t != stale {
				return t, nil
			}
		}
	}
}

func (e *Engine) mint(ctx context.Context, k string, id delegation.Identity, mint delegation.Mint) (*delegation.Token, error) {
	e.mu.Lock()
	began := e.epoch
	e.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.timeout)
	defer cancel()
	t, err := mint(ctx)
	if err != nil {
		return nil, err
	}
	return t, e.store(k, id, t, began)
}

func (e *Engine) store(k string, id delegation.Identity, t *delegation.Token, began uint64) error {
	e.sweep()
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, ok := e.forgotten.Get(personKey(id.Person)); ok && at.(uint64) > began {
		return errForgotten
	}
	life := t.Lifetime()
	if keep := time.Until(t.Expires) - min(maxSkew, life/10); keep > 0 {
		e.entries.Set(k, &entry{id, t}, keep)
	}
	return nil
}

// sweep drops what has expired, now and then, at the cost of whoever mints.
func (e *Engine) sweep() {
	now := time.Now().UnixNano()
	last := e.swept.Load()
	if now-last > int64(sweepEvery) && e.swept.CompareAndSwap(last, now) {
		e.entries.DeleteExpired()
		e.forgotten.DeleteExpired()
	}
}

func personKey(p delegation.Person) string {
	return key(&delegation.Identity{Person: p})
}
