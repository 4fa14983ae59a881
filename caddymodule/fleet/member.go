// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// Member is one provider's engine in the fleet. It implements [tokens.Shared].
type Member struct {
	fleet     *Fleet
	namespace string
	drop      func(delegation.Selection, time.Time)
}

// Leave ends what [Fleet.Join] began.
func (m *Member) Leave() {
	f := m.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = slices.DeleteFunc(f.members, func(other *Member) bool { return other == m })
}

// AwaitReady returns when it is known what the other machines have purged before
// this one began, or that they cannot be reached.
func (m *Member) AwaitReady(ctx context.Context) { m.fleet.current(ctx) }

// Status implements [tokens.Shared].
func (m *Member) Status() tokens.SharedStatus {
	f := m.fleet
	f.mu.Lock()
	pending := f.purgeOutbox.pending[m.namespace]
	f.mu.Unlock()
	f.health.mu.Lock()
	cause := f.health.cause
	f.health.mu.Unlock()
	return tokens.SharedStatus{
		Kind: "redis", Up: f.Up(), Cause: cause, Failures: f.failures.Load(),
		Pending: pending, PendingLogouts: f.revocationOutbox.size(),
	}
}

// Token implements [tokens.Shared]. If Redis cannot be used it is mint.
func (m *Member) Token(
	ctx context.Context, key string, id *delegation.Identity,
	serves func(*delegation.Token) bool, mint func(context.Context) (*delegation.Token, error),
) (*delegation.Token, error) {
	link := m.fleet.current(ctx)
	if link == nil {
		return mint(ctx)
	}
	p := &tokenEntry{Fleet: m.fleet, epoch: link, namespace: m.namespace, key: key, id: id}
	lease, found, err := p.awaitToken(ctx, serves)
	switch {
	case errors.Is(err, errDown), errors.Is(err, errStopWaiting):
		return mint(ctx)
	case err != nil:
		return nil, err
	case found != nil:
		return found, nil
	}
	return lease.mint(ctx, serves, mint)
}

// tokenEntry is where the token for one key is.
type tokenEntry struct {
	*Fleet
	epoch          *epoch
	namespace, key string
	id             *delegation.Identity

	// Keys in Redis, once they are needed. A cluster has the first two in one slot.
	tokenKey, leaseKey string
	generationKeys     []string // of the generations
	associated         []byte
}

// computeKeys names the place. It takes longer than all else here: that is why it is
// done in turn.
func (p *tokenEntry) computeKeys() {
	if p.tokenKey != "" {
		return
	}
	name := p.sealer.Name("token", p.namespace, p.key)
	p.tokenKey, p.leaseKey = redisKey(name, "token"), redisKey(name, "lease")
	p.associated = associated("token", p.namespace, p.key)
	for _, s := range p.id.Selections() {
		p.generationKeys = append(p.generationKeys, redisKey(p.sealer.Name(purge{p.namespace, s}.generationParts()...), "purged"))
	}
}

// redisKey is a key in Redis. Those of one pseudonym are in one slot of a cluster.
func redisKey(pseudonym, kind string) string { return "delegate:{" + pseudonym + "}:" + kind }

// snapshot is what was seen at a place in one round trip.
type snapshot struct {
	token       *delegation.Token // nil if there is none that could be used
	generations generations
	leased      bool
}

func (p *tokenEntry) readSnapshot(ctx context.Context) (s snapshot, err error) {
	err = p.do(ctx, p.epoch, func(ctx context.Context) error {
		p.computeKeys()
		pipe := p.client.Pipeline()
		read := p.queueRead(ctx, pipe, append([]string{p.tokenKey, p.leaseKey}, p.generationKeys...))
		if err := execute(ctx, pipe); err != nil {
			return err
		}
		values := read()
		s.leased = values[1] != ""
		s.generations = generations(values[2:])
		s.token = p.openToken(values[0], s.generations, p.associated)
		return nil
	})
	return s, err
}

// queueRead queues reading keys, and returns how to get their values afterwards. An
// absent one is "".
func (f *Fleet) queueRead(ctx context.Context, pipe redis.Pipeliner, keys []string) func() []string {
	values := make([]string, len(keys))
	if _, cluster := f.client.(*redis.ClusterClient); cluster { // in several slots
		read := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			read[i] = pipe.Get(ctx, key)
		}
		return func() []string {
			for i := range read {
				values[i] = read[i].Val()
			}
			return values
		}
	}
	read := pipe.MGet(ctx, keys...)
	return func() []string {
		for i, v := range read.Val() {
			values[i], _ = v.(string)
		}
		return values
	}
}

// execute runs a pipeline. That a key is absent is no error.
func execute(ctx context.Context, pipe redis.Pipeliner) error {
	commands, err := pipe.Exec(ctx)
	if err == nil || !errors.Is(err, redis.Nil) {
		return err
	}
	for _, c := range commands {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}

// awaitToken returns the token once there is one that serves, or the lease to mint it.
func (p *tokenEntry) awaitToken(ctx context.Context, serves func(*delegation.Token) bool) (*lease, *delegation.Token, error) {
	var half <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		half = time.After(time.Until(deadline) / 2)
	}
	for {
		seen, err := p.readSnapshot(ctx)
		if err != nil {
			return nil, nil, err
		}
		if seen.token != nil && serves(seen.token) {
			return nil, seen.token, nil
		}
		if !seen.leased {
			lease, found, err := p.obtainLease(ctx, serves)
			if err != nil || lease != nil || found != nil {
				return lease, found, err
			}
		}
		if err := p.awaitLease(ctx, half); err != nil {
			return nil, nil, err
		}
	}
}
