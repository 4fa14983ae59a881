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

// Sessions tell other machines whose sessions are revoked, and hear of theirs.
type Sessions struct {
	fleet         *Fleet
	revocations   *session.Revocations
	stopFollowing func()
}

// revocationOutbox are the names of what was revoked here and is not told yet. There is
// one entry for a person, however often they sign out.
type revocationOutbox struct {
	mu       sync.Mutex
	sessions []*Sessions
	names    map[session.RevocationTarget]struct{}
}

func (o *revocationOutbox) add(names ...session.RevocationTarget) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range names {
		o.names[name] = struct{}{}
	}
}

func (o *revocationOutbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.names)
}

// drain returns what is to be told and empties the outbox.
func (o *revocationOutbox) drain() []session.RevocationTarget {
	o.mu.Lock()
	defer o.mu.Unlock()
	names := slices.Collect(maps.Keys(o.names))
	clear(o.names)
	return names
}

// revocations are those of this process; nil if nobody has joined with any.
func (o *revocationOutbox) revocations() *session.Revocations {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sessions) == 0 {
		return nil
	}
	return o.sessions[len(o.sessions)-1].revocations
}

// JoinSessions has a process's revocations follow those of other machines.
func (f *Fleet) JoinSessions(r *session.Revocations) *Sessions {
	s := &Sessions{f, r, r.FollowClock(f.Skew, f.CaughtUpAt)}
	f.revocationOutbox.mu.Lock()
	defer f.revocationOutbox.mu.Unlock()
	f.revocationOutbox.sessions = append(f.revocationOutbox.sessions, s)
	return s
}

// Leave ends what [Fleet.JoinSessions] began.
func (s *Sessions) Leave() {
	s.stopFollowing()
	o := &s.fleet.revocationOutbox
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions = slices.DeleteFunc(o.sessions, func(other *Sessions) bool { return other == s })
}

// AwaitReady returns when it is known what the other machines have revoked before
// this one began, or that they cannot be reached.
func (s *Sessions) AwaitReady(ctx context.Context) { s.fleet.current(ctx) }

// Enqueue tells the other machines within a second.
func (s *Sessions) Enqueue(names ...session.RevocationTarget) { s.fleet.revocationOutbox.add(names...) }

// Publish tells the other machines. The error is [tokens.ErrIncomplete]: they will
// be told as soon as they can be.
func (s *Sessions) Publish(ctx context.Context, names ...session.RevocationTarget) error {
	f := s.fleet
	link := f.current(ctx)
	ctx = delegation.Detach(ctx) // who asked may leave
	if link == nil {
		f.revocationOutbox.add(names...)
		return tokens.ErrIncomplete
	}
	if f.publishRevocations(ctx, names, func(ctx context.Context, commands func(context.Context) error) error {
		return f.do(ctx, link, commands)
	}) != nil {
		return tokens.ErrIncomplete
	}
	return nil
}

// publishOutbox tells what is in the outbox.
func (f *Fleet) publishOutbox() error {
	return f.publishRevocations(f.ctx, f.revocationOutbox.drain(), f.try)
}

// publishRevocations writes what is revoked by each name, and puts it in the stream.
// What it cannot tell goes to the outbox.
func (f *Fleet) publishRevocations(ctx context.Context, names []session.RevocationTarget, run func(context.Context, func(context.Context) error) error) error {
	revocations := f.revocationOutbox.revocations()
	if revocations == nil {
		return nil
	}
	for len(names) > 0 {
		some := names[:min(len(names), 100)]
		if err := run(ctx, func(ctx context.Context) error {
			pipe := f.client.Pipeline()
			var own []*redis.StringCmd
			for _, name := range some {
				what, ok := revocations.Get(name)
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
			f.revocationOutbox.add(names...)
			return err
		}
		names = names[len(some):]
	}
	return nil
}

// readRevocations reads all that is revoked: the stream may have lost it.
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

// foundRecords are what is under the present key of the keyset, and under
// earlier ones, which will be dropped: by their names and what they say.
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

// outdated are the names of what has to be written again by the present key.
func (r *foundRecords) outdated() (names []session.RevocationTarget) {
	for sum, name := range r.old {
		if _, ok := r.current[sum]; !ok {
			names = append(names, name)
		}
	}
	return names
}

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
