// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// maxTokenTTL bounds how long a token is kept, so that the generation of a purge
// (generationTTL) outlives all tokens that it is about.
const maxTokenTTL = 30 * 24 * time.Hour

// lease is the right to mint one token, for as long as it is renewed.
type lease struct {
	*tokenEntry
	lock              *redislock.Lock
	generationsBefore generations
}

// obtainLease returns the lease; or the token, which the last holder may have
// stored just before; or neither, if another machine was faster.
func (e *tokenEntry) obtainLease(ctx context.Context, serves func(*delegation.Token) bool) (*lease, *delegation.Token, error) {
	l := &lease{tokenEntry: e}
	own := &redislock.Options{Token: rand.Text()} // ours, because try may obtain it twice
	err := e.do(ctx, e.epoch, func(ctx context.Context) (err error) {
		l.lock, err = e.locks.Obtain(ctx, e.leaseKey, e.leaseTerm, own)
		return err
	})
	if errors.Is(err, redislock.ErrNotObtained) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	seen, err := e.readSnapshot(ctx)
	if err != nil {
		l.release(ctx)
		return nil, nil, err
	}
	if seen.token != nil && serves(seen.token) {
		l.release(ctx)
		return nil, seen.token, nil
	}
	l.generationsBefore = seen.generations
	return l, nil, nil
}

// mint mints and stores the token. If the lease was lost meanwhile, and the machine
// that has it now has stored a token that serves, that is returned. The error is
// mint's, or ErrPurged.
func (l *lease) mint(ctx context.Context, serves func(*delegation.Token) bool, mint func(context.Context) (*delegation.Token, error)) (*delegation.Token, error) {
	t, err := l.mintWhileRenewing(ctx, mint)
	if err != nil {
		l.release(ctx)
		return nil, err
	}
	other, err := l.store(ctx, t)
	switch {
	case errors.Is(err, tokens.ErrPurged):
		return nil, err
	case err == nil && other != nil && serves(other):
		return other, nil
	}
	return t, nil // it is good, whether it could be stored or not
}

// mintWhileRenewing mints while it renews the lease.
func (l *lease) mintWhileRenewing(ctx context.Context, mint func(context.Context) (*delegation.Token, error)) (*delegation.Token, error) {
	done := make(chan struct{})
	defer close(done)
	l.spawn(func() { l.renew(done) })
	return mint(ctx)
}

// renew renews the lease until done is closed. If it is lost, storing the token
// notices.
func (l *lease) renew(done <-chan struct{}) {
	tick := time.NewTicker(max(l.leaseTerm/3, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		if err := l.do(l.ctx, l.epoch, func(ctx context.Context) error {
			return l.lock.Refresh(ctx, l.leaseTerm, nil)
		}); err != nil {
			return
		}
	}
}

// release lets the next machine try, also when ctx has ended.
func (l *lease) release(ctx context.Context) {
	_ = l.do(delegation.Detach(ctx), l.epoch, func(ctx context.Context) error {
		if err := l.lock.Release(ctx); !errors.Is(err, redislock.ErrLockNotHeld) {
			return err
		}
		return nil
	})
}

const (
	// storeScript stores a token and deletes the lease. It is fenced: a holder that
	// was paused for longer than its lease must not overwrite the token of the next
	// one, and gets that instead.
	storeScript = `
if redis.call("get", KEYS[2]) ~= ARGV[1] then return redis.call("get", KEYS[1]) end
if tonumber(ARGV[3]) > 0 then redis.call("set", KEYS[1], ARGV[2], "px", ARGV[3]) end
redis.call("del", KEYS[2])
return false`

	// discardScript deletes a token, if it is the one that was stored.
	discardScript = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end`
)

// store stores a token and releases the lease. If the lease was lost meanwhile it
// returns the token of the machine that has it now. The error is ErrPurged, or that
// Redis cannot be used.
func (l *lease) store(ctx context.Context, t *delegation.Token) (*delegation.Token, error) {
	// A token that was minted at the last moment is worth keeping.
	ctx = delegation.Detach(ctx)
	sealed, err := l.sealToken(t, l.generationsBefore, l.associated)
	if err != nil {
		l.release(ctx)
		return nil, err
	}
	life := min(time.Until(t.Expires), maxTokenTTL).Milliseconds()
	var (
		other string
		after generations
	)
	if err := l.do(ctx, l.epoch, func(ctx context.Context) error {
		pipe := l.client.Pipeline()
		// Not by its digest: in a pipeline it is too late to find that Redis
		// does not know it.
		stored := pipe.Eval(ctx, storeScript, []string{l.tokenKey, l.tokenEntry.leaseKey}, l.lock.Token(), sealed, life)
		// After it: later purges come through the stream.
		purges := l.queueRead(ctx, pipe, l.generationKeys)
		if err := execute(ctx, pipe); err != nil {
			return err
		}
		after = generations(purges())
		var err error
		if other, err = stored.Text(); errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}); err != nil {
		return nil, err
	}
	if after.purgedSince(l.generationsBefore) {
		// No machine would use it: its generations are the old ones.
		_ = l.do(ctx, l.epoch, func(ctx context.Context) error {
			err := l.client.Eval(ctx, discardScript, []string{l.tokenKey}, sealed).Err()
			if errors.Is(err, redis.Nil) {
				return nil
			}
			return err
		})
		return nil, tokens.ErrPurged
	}
	return l.openToken(other, after, l.associated), nil
}
