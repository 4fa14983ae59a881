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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// SharedTokens are the tokens and purges that the machines have in common for one
// provider. It implements [tokens.Shared].
type SharedTokens struct {
	fleet     *Fleet
	namespace string
	drop      func(delegation.Selection, time.Time)
}

// Leave undoes [Fleet.Join].
func (m *SharedTokens) Leave() {
	f := m.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = slices.DeleteFunc(f.members, func(other *SharedTokens) bool { return other == m })
}

// AwaitReady returns when the purges are known that other machines have issued
// before this one began, or when it is known that they cannot be reached; at the
// latest with ctx.
func (m *SharedTokens) AwaitReady(ctx context.Context) { m.fleet.current(ctx) }

// Status implements [tokens.Shared].
func (m *SharedTokens) Status() tokens.SharedStatus {
	f := m.fleet
	f.mu.Lock()
	pending := f.purgeOutbox.pending[m.namespace]
	f.mu.Unlock()
	f.health.mu.Lock()
	cause, since := f.health.cause, f.health.since
	f.health.mu.Unlock()
	return tokens.SharedStatus{
		Kind: "redis", Up: f.Up(), Cause: cause, Since: since, Failures: f.failures.Load(),
		Pending: pending, PendingLogouts: f.revocationOutbox.size(),
	}
}

// Token implements [tokens.Shared]. If Redis cannot be used it only mints.
func (m *SharedTokens) Token(
	ctx context.Context, key string, id *delegation.Identity,
	serves func(*delegation.Token) bool, mint func(context.Context) (*delegation.Token, error),
) (*delegation.Token, error) {
	ep := m.fleet.current(ctx)
	if ep == nil {
		return mint(ctx)
	}
	e := &tokenEntry{Fleet: m.fleet, epoch: ep, namespace: m.namespace, key: key, id: id}
	lease, found, err := e.awaitToken(ctx, serves)
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

// tokenEntry is the token for one key in Redis, during one epoch.
type tokenEntry struct {
	*Fleet
	epoch          *epoch
	namespace, key string
	id             *delegation.Identity

	// Keys in Redis, once they are computed. A cluster has the first two in one
	// slot.
	tokenKey, leaseKey string
	generationKeys     []string // in the order of generations
	associated         []byte
}

// computeKeys sets the keys. It takes longer than all else here, which is why it is
// done in a command slot.
func (e *tokenEntry) computeKeys() {
	if e.tokenKey != "" {
		return
	}
	name := e.sealer.Name("token", e.namespace, e.key)
	e.tokenKey, e.leaseKey = redisKey(name, "token"), redisKey(name, "lease")
	e.associated = tuple.Encode("token", e.namespace, e.key)
	for _, s := range e.id.Selections() {
		e.generationKeys = append(e.generationKeys, redisKey(e.sealer.Name(streamSelection{e.namespace, s}.generationParts()...), "purged"))
	}
}

// redisKey returns a key in Redis. Those of one pseudonym are in one slot of a
// cluster.
func redisKey(pseudonym, kind string) string { return "delegate:{" + pseudonym + "}:" + kind }

// snapshot is the state of a tokenEntry in one round trip.
type snapshot struct {
	token       *delegation.Token // nil if there is none that can be used
	generations generations
	leased      bool
}

// readSnapshot reads token, lease and generations.
func (e *tokenEntry) readSnapshot(ctx context.Context) (s snapshot, err error) {
	err = e.do(ctx, e.epoch, func(ctx context.Context) error {
		e.computeKeys()
		pipe := e.client.Pipeline()
		read := e.queueRead(ctx, pipe, append([]string{e.tokenKey, e.leaseKey}, e.generationKeys...))
		if err := execute(ctx, pipe); err != nil {
			return err
		}
		values := read()
		s.leased = values[1] != ""
		s.generations = generations(values[2:])
		s.token = e.openToken(values[0], s.generations, e.associated)
		return nil
	})
	return s, err
}

// queueRead queues reading keys, and returns how to get their values afterwards. An
// absent key has "".
func (f *Fleet) queueRead(ctx context.Context, pipe redis.Pipeliner, keys []string) func() []string {
	values := make([]string, len(keys))
	if _, cluster := f.client.(*redis.ClusterClient); cluster { // the keys are in several slots
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

// awaitToken returns the token once there is one that serves, or the lease to mint
// it.
func (e *tokenEntry) awaitToken(ctx context.Context, serves func(*delegation.Token) bool) (*lease, *delegation.Token, error) {
	var half <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		half = time.After(time.Until(deadline) / 2)
	}
	for {
		seen, err := e.readSnapshot(ctx)
		if err != nil {
			return nil, nil, err
		}
		if seen.token != nil && serves(seen.token) {
			return nil, seen.token, nil
		}
		if !seen.leased {
			lease, found, err := e.obtainLease(ctx, serves)
			if err != nil || lease != nil || found != nil {
				return lease, found, err
			}
		}
		if err := e.awaitLease(ctx, half); err != nil {
			return nil, nil, err
		}
	}
}
