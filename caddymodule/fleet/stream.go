// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// streamName is what the stream's pseudonym is made of.
const streamName = "purges"

// atOnce is how many purges are read in one step.
const atOnce = 1000

// stream is how far this machine has read the purges of the others. Only the
// watch uses it.
type stream struct {
	incarnation string    // of the data in Redis
	position    string    // after which to read on
	read        bool      // position is an entry that was read
	contact     time.Time // when everything was read
}

// watch connects, follows the purges, and connects again.
func (f *Fleet) watch() {
	first := true
	for f.ctx.Err() == nil {
		// A panic is an outage: the watch goes on, or this machine would no
		// longer hear of purges.
		var l *link
		err := background.Do("connecting to redis", func() (err error) {
			l, err = f.connect()
			return err
		})
		if first {
			first = false
			close(f.tried)
		}
		if err == nil {
			err = background.Do("following redis", func() error { return f.follow(l) })
		}
		if f.ctx.Err() == nil && err != nil {
			f.fall(l, err)
		}
		select {
		case <-time.After(every):
		case <-f.ctx.Done():
		}
	}
	if first {
		close(f.tried) // nobody waits for what will not be tried
	}
}

// connect begins a link once this machine and the others know of each other's
// purges.
func (f *Fleet) connect() (*link, error) {
	now, err := f.greet()
	if err != nil {
		return nil, err
	}
	if f.stream.incarnation != now {
		if err := f.rewind(); err != nil {
			return nil, err
		}
		f.stream.incarnation = now
	}
	if err := f.checkTrimmed(); err != nil {
		return nil, err
	}
	for {
		if err := f.replay(); err != nil {
			return nil, err
		}
		for more := true; more; {
			if more, err = f.advance(-1); err != nil {
				return nil, err
			}
		}
		if l := f.rise(); l != nil || f.ctx.Err() != nil {
			return l, f.ctx.Err()
		}
	}
}

// greet writes, so that a Redis that is full or a replica is found out, and
// returns the incarnation of its data.
func (f *Fleet) greet() (string, error) {
	write := func(ctx context.Context) error {
		return f.client.SetNX(ctx, f.streamKey("incarnation"), rand.Text(), 0).Err()
	}
	// The first time may include the connection's making. The second may not:
	// requests will not wait for longer either.
	ctx, cancel := context.WithTimeout(f.ctx, patience*f.timeout)
	defer cancel()
	if err := write(ctx); err != nil {
		return "", err
	}
	if err := f.try(f.ctx, write); err != nil {
		return "", err
	}
	return f.incarnation()
}

func (f *Fleet) incarnation() (now string, err error) {
	err = f.try(f.ctx, func(ctx context.Context) (err error) {
		now, err = f.client.Get(ctx, f.streamKey("incarnation")).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", errLost
	}
	return now, err
}

// rewind reads from where this machine was last in contact, by the server's
// clock: it may be another server than then. A machine that was never reads
// all there is: of tokens it has none, but who has signed out has to be known.
func (f *Fleet) rewind() error {
	if f.stream.incarnation == "" {
		f.stream.position, f.stream.read = "0-0", false
		return nil
	}
	return f.try(f.ctx, func(ctx context.Context) error {
		now, err := f.client.Time(ctx).Result()
		if err != nil {
			return err
		}
		since := now.Add(-time.Since(f.stream.contact) - every)
		f.stream.position = strconv.FormatInt(since.UnixMilli(), 10) + "-0"
		f.stream.read = false
		return nil
	})
}

// checkTrimmed drops everything if more purges were missed than Redis keeps.
func (f *Fleet) checkTrimmed() error {
	if !f.stream.read {
		return nil
	}
	var until []redis.XMessage
	err := f.try(f.ctx, func(ctx context.Context) (err error) {
		until, err = f.client.XRangeN(ctx, f.streamKey("purges"), "-", f.stream.position, 1).Result()
		return err
	})
	if err != nil || len(until) > 0 {
		return err
	}
	for _, m := range f.joined() {
		m.drop(delegation.Selection{}, time.Now())
	}
	f.stream.read = false
	return nil
}

func (f *Fleet) streamKey(of string) string { return kind(f.sealer.Name(streamName), of) }

// follow applies the others' purges as they come, until the link ends.
func (f *Fleet) follow(l *link) error {
	checked := time.Now()
	for f.health.link.Load() == l {
		if _, err := f.advance(every); err != nil {
			return err
		}
		if time.Since(checked) < every {
			continue
		}
		checked = time.Now()
		now, err := f.incarnation()
		if err == nil && now != f.stream.incarnation {
			err = errLost
		}
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.journal.sweep()
		pending := len(f.journal.pending)
		f.mu.Unlock()
		if pending > 0 { // of just before the link began
			if err := f.replay(); err != nil {
				return err
			}
		}
	}
	return nil
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
			f.stream.position, f.stream.read = entry.ID, true
			read++
		}
	}
	if read < atOnce {
		f.stream.contact = time.Now()
	}
	return read == atOnce, nil
}

func (f *Fleet) apply(entry redis.XMessage) {
	if by, _ := entry.Values["by"].(string); by == f.machine {
		return
	}
	sealed, _ := entry.Values["purge"].(string)
	if n, ok := f.openPurge(sealed); ok {
		f.drop(n, nil)
	}
}
