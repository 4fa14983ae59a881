// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// streamName is what the stream's pseudonym is made of.
	streamName = "purges"

	// atOnce is how many purges are read in one step.
	atOnce = 1000

	// stepBack is how much is read again after each connect: a Redis that took
	// over may have lost the latest, and its clock may be behind.
	stepBack = time.Minute

	// maxApplied is how many of the latest purges are recognised when they are
	// read again.
	maxApplied = 4096

	// ownWithin is how long a machine's own entries may take to come back.
	ownWithin = 3 * time.Second
)

// stream is how far this machine has read the purges of the others. Only the
// watch uses it, but for own.
type stream struct {
	incarnation string       // of the data in Redis
	position    string       // after which to read on
	read        bool         // position is an entry that was read
	latest      string       // the entry that was read last, of this incarnation
	contact     time.Time    // when everything was read
	heard       atomic.Int64 // the same for others to read, in Unix milliseconds
	unsure      bool         // something was missed, nobody knows what
	listened    bool         // the records were read although it takes no writes

	seed    maphash.Seed
	applied map[uint64]struct{}
	order   []uint64 // of applied, the next one to be replaced at next
	next    int

	own own
}

func newStream(opened time.Time) stream {
	return stream{contact: opened, seed: maphash.MakeSeed(), applied: make(map[uint64]struct{})}
}

// Heard is until when everything was read that other machines have told, or
// when this one began.
func (f *Fleet) Heard() time.Time {
	if at := f.stream.heard.Load(); at != 0 {
		return time.UnixMilli(at)
	}
	return f.opened
}

func (f *Fleet) streamKey(of string) string { return kind(f.sealer.Name(streamName), of) }

// position prepares to read on, from a while before where this machine was: by
// the server's clock, and never from behind what there is.
func (f *Fleet) position() error {
	s := &f.stream
	if s.incarnation == "" {
		// All there is: of tokens this machine has none, but earlier versions
		// have nothing else that tells who has signed out.
		s.position, s.read = "0-0", false
		return nil
	}
	last, err := f.last()
	if err != nil {
		return err
	}
	from := f.serverTime().Add(-time.Since(s.contact))
	if at, _ := parseID(s.position); s.read && int64(at) < from.UnixMilli() { //nolint:gosec // a moment in milliseconds
		from = time.UnixMilli(int64(at)) //nolint:gosec // as above
	}
	if len(last) > 0 {
		if at, _ := parseID(last[0].ID); int64(at) < from.UnixMilli() { //nolint:gosec // as above
			from = time.UnixMilli(int64(at)) //nolint:gosec // as above
		}
	}
	s.position, s.read = idAt(from.Add(-stepBack)), false
	return nil
}

// checkMissed finds out whether entries are gone that this machine has not
// read, or those that it has written. The one that was read last shows it: where
// it is gone, older ones that are still there are of a copy from before it.
func (f *Fleet) checkMissed() error {
	s := &f.stream
	for _, id := range []string{s.latest, s.own.latest(s.contact)} {
		there, err := f.holds(id)
		if err != nil {
			return err
		}
		if !there {
			s.unsure = true
		}
	}
	return nil
}

// holds tells whether the stream has an entry; that of "" is everywhere.
func (f *Fleet) holds(id string) (there bool, err error) {
	if id == "" {
		return true, nil
	}
	err = f.try(f.ctx, func(ctx context.Context) error {
		found, err := f.client.XRangeN(ctx, f.streamKey("purges"), id, id, 1).Result()
		there = len(found) > 0
		return err
	})
	return there, err
}

// dropAll has the members drop everything: which of it was purged is not known.
func (f *Fleet) dropAll() {
	for _, m := range f.joined() {
		m.drop(delegation.Selection{}, time.Now())
	}
}

// mending begins the stream anew if its entries are from the future: what is
// written next would have an ID that nobody can tell from another's, or none
// is left.
const mending = `
local last = redis.call("xrevrange", KEYS[1], "+", "-", "count", 1)
if #last == 0 then return 0 end
local time = redis.call("time")
if tonumber(string.match(last[1][1], "^%d+")) <= time[1] * 1000 + tonumber(ARGV[1]) then return 0 end
redis.call("del", KEYS[1])
redis.call("set", KEYS[2], ARGV[2])
return 1`

// mend tells whether the stream was begun anew; the other machines notice.
func (f *Fleet) mend() (mended bool, err error) {
	err = f.try(f.ctx, func(ctx context.Context) (err error) {
		mended, err = f.client.Eval(ctx, mending, []string{f.streamKey("purges"), f.streamKey("incarnation")}, stepBack.Milliseconds(), rand.Text()).Bool()
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return err
	})
	return mended, err
}

// exhausted tells whether nothing can be added to the stream any more.
func exhausted(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "exhausted the last possible ID") || strings.Contains(err.Error(), "equal or smaller than the target stream"))
}

// restart begins the stream anew.
func (f *Fleet) restart() error {
	return f.try(f.ctx, func(ctx context.Context) error {
		pipe := f.client.Pipeline()
		pipe.Del(ctx, f.streamKey("purges"))
		pipe.Set(ctx, f.streamKey("incarnation"), rand.Text(), 0)
		return execute(ctx, pipe)
	})
}

// advance applies the next purges, for which it waits at most so long; not at
// all if that is negative. more tells that there were some.
func (f *Fleet) advance(wait time.Duration) (more bool, err error) {
	ctx, cancel := context.WithTimeout(f.ctx, max(wait, 0)+patience*f.timeout)
	defer cancel()
	streams, err := f.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{f.streamKey("purges"), f.stream.position}, Count: atOnce, Block: wait,
	}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, err
	}
	read := 0
	for _, s := range streams {
		for _, entry := range s.Messages {
			f.apply(entry)
			f.stream.position, f.stream.latest, f.stream.read = entry.ID, entry.ID, true
			read++
		}
	}
	if read < atOnce {
		f.stream.contact = time.Now()
		f.stream.heard.Store(f.stream.contact.UnixMilli())
	}
	return read == atOnce, nil
}

func (f *Fleet) apply(entry redis.XMessage) {
	if by, _ := entry.Values["by"].(string); by == f.machine {
		f.stream.own.saw(entry.ID)
		return
	}
	sealed, _ := entry.Values["purge"].(string)
	if !f.stream.fresh(sealed) {
		return
	}
	n, ok := f.openPurge(sealed)
	switch {
	case !ok:
	case n.Space == sessionSpace:
		f.applyRevoked(&n)
		fallthrough
	default:
		f.drop(n, nil)
	}
}

// fresh tells whether an entry was not applied just before.
func (s *stream) fresh(sealed string) bool {
	sum := maphash.String(s.seed, sealed)
	if _, again := s.applied[sum]; again {
		return false
	}
	s.applied[sum] = struct{}{}
	if len(s.order) < maxApplied {
		s.order = append(s.order, sum)
		return true
	}
	delete(s.applied, s.order[s.next])
	s.order[s.next] = sum
	s.next = (s.next + 1) % maxApplied
	return true
}

// last is the stream's latest entry, if there is one.
func (f *Fleet) last() (entry []redis.XMessage, err error) {
	err = f.try(f.ctx, func(ctx context.Context) (err error) {
		entry, err = f.client.XRevRangeN(ctx, f.streamKey("purges"), "+", "-", 1).Result()
		return err
	})
	return entry, err
}
