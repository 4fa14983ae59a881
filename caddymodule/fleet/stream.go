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
	// streamName is the part of the pseudonym in the stream's keys.
	streamName = "purges"

	// readBatch is how many entries are read in one step.
	readBatch = 1000

	// rereadWindow is how much is read again after each connect: a Redis that has
	// taken over may have lost the latest entries, and its clock may be behind.
	rereadWindow = time.Minute

	// maxAppliedRemembered is how many of the latest entries are recognised when
	// they are read again.
	maxAppliedRemembered = 4096

	// echoTimeout is how long a machine's own entries may take to come back.
	echoTimeout = 3 * time.Second
)

// stream is how far this machine has read the entries of the others. Only the watch
// uses it, except for echoes and caughtUpMillis.
type stream struct {
	incarnation    string       // of the data in Redis
	position       string       // the ID after which to read on
	positionRead   bool         // position is an entry that was read
	lastRead       string       // the entry that was read last, of this incarnation
	caughtUp       time.Time    // when everything was read
	caughtUpMillis atomic.Int64 // the same for other goroutines, in Unix milliseconds
	entriesMissed  bool         // entries were missed, and it is not known which
	recordsRead    bool         // the records were read although Redis takes no writes

	seed         maphash.Seed
	applied      map[uint64]struct{}
	appliedOrder []uint64 // of applied; the next one to be replaced is at appliedNext
	appliedNext  int

	echoes echoMonitor
}

func newStream(opened time.Time) stream {
	return stream{caughtUp: opened, seed: maphash.MakeSeed(), applied: make(map[uint64]struct{})}
}

// CaughtUpAt is the moment until which everything was read that other machines have
// published; before the first time, when this machine began.
func (f *Fleet) CaughtUpAt() time.Time {
	if at := f.stream.caughtUpMillis.Load(); at != 0 {
		return time.UnixMilli(at)
	}
	return f.opened
}

func (f *Fleet) streamKey(of string) string { return redisKey(f.sealer.Name(streamName), of) }

// seek sets where to read on: a while before where this machine was, by the
// server's clock, and never behind the end of the stream.
func (f *Fleet) seek() error {
	s := &f.stream
	if s.incarnation == "" {
		// From the beginning: this machine has no tokens, but earlier versions have
		// written nowhere else who has signed out.
		s.position, s.positionRead = "0-0", false
		return nil
	}
	last, err := f.lastEntry()
	if err != nil {
		return err
	}
	from := f.serverTime().Add(-time.Since(s.caughtUp))
	if at, _ := parseID(s.position); s.positionRead && int64(at) < from.UnixMilli() { //nolint:gosec // a moment in milliseconds
		from = time.UnixMilli(int64(at)) //nolint:gosec // as above
	}
	if len(last) > 0 {
		if at, _ := parseID(last[0].ID); int64(at) < from.UnixMilli() { //nolint:gosec // as above
			from = time.UnixMilli(int64(at)) //nolint:gosec // as above
		}
	}
	s.position, s.positionRead = idAt(from.Add(-rereadWindow)), false
	return nil
}

// checkMissed finds out whether entries are gone that this machine has not read, or
// that it has written. The one that was read last shows it: where it is gone, older
// ones that are still there are of a copy from before it.
func (f *Fleet) checkMissed() error {
	s := &f.stream
	for _, id := range []string{s.lastRead, s.echoes.lastWrittenBefore(s.caughtUp)} {
		there, err := f.hasEntry(id)
		if err != nil {
			return err
		}
		if !there {
			s.entriesMissed = true
		}
	}
	return nil
}

// hasEntry tells whether the stream has an entry; of "" it has.
func (f *Fleet) hasEntry(id string) (there bool, err error) {
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

// dropAll has the members drop all of their tokens: it is not known which were
// purged.
func (f *Fleet) dropAll() {
	for _, m := range f.currentMembers() {
		m.drop(delegation.Selection{}, time.Now())
	}
}

// resetFutureScript begins the stream anew if its entries are from the future: the
// next ones would have IDs that cannot be told from those of another stream, or
// there is no ID left.
const resetFutureScript = `
local last = redis.call("xrevrange", KEYS[1], "+", "-", "count", 1)
if #last == 0 then return 0 end
local time = redis.call("time")
if tonumber(string.match(last[1][1], "^%d+")) <= time[1] * 1000 + tonumber(ARGV[1]) then return 0 end
redis.call("del", KEYS[1])
redis.call("set", KEYS[2], ARGV[2])
return 1`

// resetFutureStream tells whether the stream was begun anew; the other machines
// notice.
func (f *Fleet) resetFutureStream() (mended bool, err error) {
	err = f.try(f.ctx, func(ctx context.Context) (err error) {
		mended, err = f.client.Eval(ctx, resetFutureScript, []string{f.streamKey("purges"), f.streamKey("incarnation")}, rereadWindow.Milliseconds(), rand.Text()).Bool()
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return err
	})
	return mended, err
}

// isExhausted tells whether an error is that nothing can be added to the stream any
// more.
func isExhausted(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "exhausted the last possible ID") || strings.Contains(err.Error(), "equal or smaller than the target stream"))
}

// resetStream begins the stream anew.
func (f *Fleet) resetStream() error {
	return f.try(f.ctx, func(ctx context.Context) error {
		pipe := f.client.Pipeline()
		pipe.Del(ctx, f.streamKey("purges"))
		pipe.Set(ctx, f.streamKey("incarnation"), rand.Text(), 0)
		return execute(ctx, pipe)
	})
}

// readEntries applies the next entries, for which it waits at most so long; not at
// all if wait is negative. more is true if there may be further ones.
func (f *Fleet) readEntries(wait time.Duration) (more bool, err error) {
	ctx, cancel := context.WithTimeout(f.ctx, max(wait, 0)+dialFactor*f.timeout)
	defer cancel()
	streams, err := f.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{f.streamKey("purges"), f.stream.position}, Count: readBatch, Block: wait,
	}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, err
	}
	read := 0
	for _, s := range streams {
		for _, entry := range s.Messages {
			f.applyEntry(entry)
			f.stream.position, f.stream.lastRead, f.stream.positionRead = entry.ID, entry.ID, true
			read++
		}
	}
	if read < readBatch {
		f.stream.caughtUp = time.Now()
		f.stream.caughtUpMillis.Store(f.stream.caughtUp.UnixMilli())
	}
	return read == readBatch, nil
}

// applyEntry applies an entry of another machine, unless it was applied before.
func (f *Fleet) applyEntry(entry redis.XMessage) {
	if by, _ := entry.Values["by"].(string); by == f.machine {
		f.stream.echoes.recordReceived(entry.ID)
		return
	}
	sealed, _ := entry.Values["purge"].(string)
	if !f.stream.markApplied(sealed) {
		return
	}
	n, ok := f.openStreamRecord(sealed)
	switch {
	case !ok:
	case n.Namespace == sessionNamespace:
		f.applyRevocation(&n)
		fallthrough
	default:
		f.dropOthers(n, nil)
	}
}

// markApplied returns false if an entry was applied just before.
func (s *stream) markApplied(sealed string) bool {
	sum := maphash.String(s.seed, sealed)
	if _, again := s.applied[sum]; again {
		return false
	}
	s.applied[sum] = struct{}{}
	if len(s.appliedOrder) < maxAppliedRemembered {
		s.appliedOrder = append(s.appliedOrder, sum)
		return true
	}
	delete(s.applied, s.appliedOrder[s.appliedNext])
	s.appliedOrder[s.appliedNext] = sum
	s.appliedNext = (s.appliedNext + 1) % maxAppliedRemembered
	return true
}

// lastEntry returns the stream's latest entry, if there is one.
func (f *Fleet) lastEntry() (entry []redis.XMessage, err error) {
	err = f.try(f.ctx, func(ctx context.Context) (err error) {
		entry, err = f.client.XRevRangeN(ctx, f.streamKey("purges"), "+", "-", 1).Result()
		return err
	})
	return entry, err
}
