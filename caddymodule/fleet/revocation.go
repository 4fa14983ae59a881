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
	fleet       *Fleet
	revocations *session.Revocations
	unfollow    func()
}

// outbox are the names of what was revoked here and is not told yet. There is
// one entry for a person, however often they sign out.
type outbox struct {
	mu     sync.Mutex
	joined []*Sessions
	names  map[session.Name]struct{}
}

func (o *outbox) add(names ...session.Name) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range names {
		o.names[name] = struct{}{}
	}
}

func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.names)
}

// take returns what is to be told and empties the outbox.
func (o *outbox) take() []session.Name {
	o.mu.Lock()
	defer o.mu.Unlock()
	names := slices.Collect(maps.Keys(o.names))
	clear(o.names)
	return names
}

// revocations are those of this process; nil if nobody has joined with any.
func (o *outbox) revocations() *session.Revocations {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.joined) == 0 {
		return nil
	}
	return o.joined[len(o.joined)-1].revocations
}

// JoinSessions has a process's revocations follow those of other machines.
func (f *Fleet) JoinSessions(r *session.Revocations) *Sessions {
	s := &Sessions{f, r, r.Follow(f.Skew)}
	f.outbox.mu.Lock()
	defer f.outbox.mu.Unlock()
	f.outbox.joined = append(f.outbox.joined, s)
	return s
}

// Leave ends what [Fleet.JoinSessions] began.
func (s *Sessions) Leave() {
	s.unfollow()
	o := &s.fleet.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	o.joined = slices.DeleteFunc(o.joined, func(other *Sessions) bool { return other == s })
}

// Await returns when it is known what the other machines have revoked before
// this one began, or that they cannot be reached.
func (s *Sessions) Await(ctx context.Context) { s.fleet.reach(ctx) }

// Later tells the other machines within a second.
func (s *Sessions) Later(names ...session.Name) { s.fleet.outbox.add(names...) }

// Tell tells the other machines. The error is [tokens.ErrIncomplete]: they will
// be told as soon as they can be.
func (s *Sessions) Tell(ctx context.Context, names ...session.Name) error {
	f := s.fleet
	link := f.reach(ctx)
	ctx = delegation.Detach(ctx) // who asked may leave
	if link == nil {
		f.outbox.add(names...)
		return tokens.ErrIncomplete
	}
	if f.tellRevoked(ctx, names, func(ctx context.Context, commands func(context.Context) error) error {
		return f.do(ctx, link, commands)
	}) != nil {
		return tokens.ErrIncomplete
	}
	return nil
}

// flush tells what is in the outbox.
func (f *Fleet) flush() error { return f.tellRevoked(f.ctx, f.outbox.take(), f.try) }

// tellRevoked writes what is revoked by each name, and puts it in the stream.
// What it cannot tell goes to the outbox.
func (f *Fleet) tellRevoked(ctx context.Context, names []session.Name, run func(context.Context, func(context.Context) error) error) error {
	revocations := f.outbox.revocations()
	if revocations == nil {
		return nil
	}
	for len(names) > 0 {
		some := names[:min(len(names), 100)]
		if err := run(ctx, func(ctx context.Context) error {
			pipe := f.client.Pipeline()
			var own []*redis.StringCmd
			for _, name := range some {
				what, ok := revocations.Of(name)
				if !ok {
					continue
				}
				added, err := f.queueRevoked(ctx, pipe, &what)
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
			f.stream.expect(own)
			return nil
		}); err != nil {
			f.outbox.add(names...)
			return err
		}
		names = names[len(some):]
	}
	return nil
}

// readRevoked reads all that is revoked: the stream may have lost it.
func (f *Fleet) readRevoked() error {
	revocations := f.outbox.revocations()
	if revocations == nil {
		return nil
	}
	found := foundRecords{current: make(map[string]struct{}), old: make(map[string]session.Name)}
	read := func(node redis.Cmdable) error { return f.readRevokedAt(node, revocations, &found) }
	var err error
	if cluster, ok := f.client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(f.ctx, func(_ context.Context, node *redis.Client) error { return read(node) })
	} else {
		err = read(f.client)
	}
	f.outbox.add(found.outdated()...)
	return err
}

// foundRecords are what is under the present key of the keyset, and under
// earlier ones, which will be dropped: by their names and what they say.
type foundRecords struct {
	mu      sync.Mutex
	current map[string]struct{}
	old     map[string]session.Name
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
		r.old[string(sum[:])] = part.Name
	}
}

// outdated are the names of what has to be written again by the present key.
func (r *foundRecords) outdated() (names []session.Name) {
	for sum, name := range r.old {
		if _, ok := r.current[sum]; !ok {
			names = append(names, name)
		}
	}
	return names
}

func (f *Fleet) readRevokedAt(node redis.Cmdable, revocations *session.Revocations, records *foundRecords) error {
	var cursor uint64
	for {
		var keys []string
		if err := f.try(f.ctx, func(ctx context.Context) (err error) {
			var next uint64
			if keys, next, err = node.Scan(ctx, cursor, kind("*", "revoked"), 1000).Result(); err == nil {
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
					if part, ok := f.openRevoked(key, value); ok {
						records.add(&part, key == f.revokedKey(part.Name))
						f.outbox.add(revocations.Merge(part)...)
					}
				}
			}
		}
		if cursor == 0 {
			return nil
		}
	}
}
