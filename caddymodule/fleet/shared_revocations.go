// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

// SharedRevocations publishes the revocations of sessions to the other machines, and merges
// theirs. It is a process's [session.Revocations] in the fleet.
type SharedRevocations struct {
	fleet         *Fleet
	revocations   *session.Revocations
	stopFollowing func()
}

// revocationOutbox has the targets of revocations that were made here and are not
// published yet. There is one entry for a person, however often they sign out.
type revocationOutbox struct {
	mu       sync.Mutex
	sessions []*SharedRevocations
	targets  map[session.RevocationTarget]struct{}
}

func (o *revocationOutbox) add(targets ...session.RevocationTarget) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, target := range targets {
		o.targets[target] = struct{}{}
	}
}

func (o *revocationOutbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.targets)
}

// drain returns the targets, and empties the outbox.
func (o *revocationOutbox) drain() []session.RevocationTarget {
	o.mu.Lock()
	defer o.mu.Unlock()
	targets := slices.Collect(maps.Keys(o.targets))
	clear(o.targets)
	return targets
}

// revocations are those of this process; nil if none have joined.
func (o *revocationOutbox) revocations() *session.Revocations {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sessions) == 0 {
		return nil
	}
	return o.sessions[len(o.sessions)-1].revocations
}

// JoinRevocations has a process's revocations follow those of other machines.
func (f *Fleet) JoinRevocations(r *session.Revocations) *SharedRevocations {
	s := &SharedRevocations{f, r, r.FollowClock(f.Skew, f.CaughtUpAt)}
	f.revocationOutbox.mu.Lock()
	defer f.revocationOutbox.mu.Unlock()
	f.revocationOutbox.sessions = append(f.revocationOutbox.sessions, s)
	return s
}

// Leave undoes [Fleet.JoinRevocations].
func (s *SharedRevocations) Leave() {
	s.stopFollowing()
	o := &s.fleet.revocationOutbox
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions = slices.DeleteFunc(o.sessions, func(other *SharedRevocations) bool { return other == s })
}

// AwaitReady returns when the revocations are known that other machines have made
// before this one began, or when it is known that they cannot be reached; at the
// latest with ctx.
func (s *SharedRevocations) AwaitReady(ctx context.Context) { s.fleet.current(ctx) }

// Enqueue has the other machines told within a second.
func (s *SharedRevocations) Enqueue(targets ...session.RevocationTarget) {
	s.fleet.revocationOutbox.add(targets...)
}

// Publish tells the other machines now, also if ctx ends. The error is
// [tokens.ErrIncomplete]: they are told as soon as they can be.
func (s *SharedRevocations) Publish(ctx context.Context, targets ...session.RevocationTarget) error {
	f := s.fleet
	ep := f.current(ctx)
	ctx = delegation.Detach(ctx)
	if ep == nil {
		f.revocationOutbox.add(targets...)
		return tokens.ErrIncomplete
	}
	if f.publishRevocations(ctx, targets, func(ctx context.Context, commands func(context.Context) error) error {
		return f.do(ctx, ep, commands)
	}) != nil {
		return tokens.ErrIncomplete
	}
	return nil
}

// publishOutbox publishes the outbox.
func (f *Fleet) publishOutbox() error {
	return f.publishRevocations(f.ctx, f.revocationOutbox.drain(), f.try)
}

// publishRevocations writes the revocations of each target to its record and to the
// stream. Targets that cannot be written go to the outbox. run runs commands at
// Redis.
func (f *Fleet) publishRevocations(ctx context.Context, targets []session.RevocationTarget, run func(context.Context, func(context.Context) error) error) error {
	revocations := f.revocationOutbox.revocations()
	if revocations == nil {
		return nil
	}
	for len(targets) > 0 {
		some := targets[:min(len(targets), 100)]
		if err := run(ctx, func(ctx context.Context) error {
			pipe := f.client.Pipeline()
			var own []*redis.StringCmd
			for _, target := range some {
				what, ok := revocations.Get(target)
				if !ok {
					continue
				}
				added, err := f.queueRevocation(ctx, pipe, &what)
				if err != nil {
					return err
				}
				own = append(own, added)
			}
			if pipe.Len() == 0 {
				return nil
			}
			if err := execute(ctx, pipe); err != nil {
				return err
			}
			f.stream.expectEchoes(own)
			return nil
		}); err != nil {
			f.revocationOutbox.add(targets...)
			return err
		}
		targets = targets[len(some):]
	}
	return nil
}

// readRevocations merges all records of revocations: the stream may have lost them.
func (f *Fleet) readRevocations() error {
	revocations := f.revocationOutbox.revocations()
	if revocations == nil {
		return nil
	}
	found := foundRecords{current: make(map[string]struct{}), old: make(map[string]session.RevocationTarget)}
	read := func(node redis.Cmdable) error { return f.readRevocationsFrom(node, revocations, &found) }
	var err error
	if cluster, ok := f.client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(f.ctx, func(_ context.Context, node *redis.Client) error { return read(node) })
	} else {
		err = read(f.client)
	}
	f.revocationOutbox.add(found.outdated()...)
	return err
}

// foundRecords are the targets whose records were found, by a hash of each: under the
// key that is current, and under that of an older primary key.
type foundRecords struct {
	mu      sync.Mutex
	current map[string]struct{}
	old     map[string]session.RevocationTarget
}

func (r *foundRecords) add(part *session.Revocation, current bool) {
	text, err := json.Marshal(part)
	if err != nil {
		return
	}
	sum := sha256.Sum256(text)
	r.mu.Lock()
	defer r.mu.Unlock()
	if current {
		r.current[string(sum[:])] = struct{}{}
	} else {
		r.old[string(sum[:])] = part.RevocationTarget
	}
}

// outdated returns the targets that have a record under an older key only: it has to
// be written again before that key is dropped.
func (r *foundRecords) outdated() (targets []session.RevocationTarget) {
	for sum, target := range r.old {
		if _, ok := r.current[sum]; !ok {
			targets = append(targets, target)
		}
	}
	return targets
}

// readRevocationsFrom merges the records of one node.
func (f *Fleet) readRevocationsFrom(node redis.Cmdable, revocations *session.Revocations, records *foundRecords) error {
	var cursor uint64
	for {
		var keys []string
		if err := f.try(f.ctx, func(ctx context.Context) (err error) {
			var next uint64
			if keys, next, err = node.Scan(ctx, cursor, redisKey("*", "revoked"), 1000).Result(); err == nil {
				cursor = next
			}
			return err
		}); err != nil {
			return err
		}
		for some := range slices.Chunk(keys, 200) {
			found := make([]*redis.MapStringStringCmd, len(some))
			if err := f.try(f.ctx, func(ctx context.Context) error {
				pipe := node.Pipeline()
				for i, key := range some {
					found[i] = pipe.HGetAll(ctx, key)
				}
				return execute(ctx, pipe)
			}); err != nil {
				return err
			}
			for i, key := range some {
				for _, value := range found[i].Val() {
					if part, ok := f.openRevocation(key, value); ok {
						records.add(&part, key == f.revocationKey(part.RevocationTarget))
						f.revocationOutbox.add(revocations.Merge(part)...)
					}
				}
			}
		}
		if cursor == 0 {
			return nil
		}
	}
}

// applyRevocation merges a revocation that another machine has written to the
// stream with those of this machine, and has what was new here kept in Redis.
func (f *Fleet) applyRevocation(n *streamRecord) {
	revocations := f.revocationOutbox.revocations()
	if revocations == nil {
		return
	}
	if n.Revocation != nil {
		f.revocationOutbox.add(revocations.Merge(*n.Revocation)...)
		return
	}
	r, ok := legacyRevocation(n)
	if !ok {
		return
	}
	// An earlier version has written no record, and the stream forgets.
	if known, ok := revocations.Get(r.RevocationTarget); !ok || known.At.Before(r.At) || known.NoSessionID.Before(r.NoSessionID) {
		f.revocationOutbox.add(r.RevocationTarget)
	}
	f.revocationOutbox.add(revocations.Merge(r)...)
}
