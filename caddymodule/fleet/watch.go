// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

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
	l, err := f.catchUp()
	if exhausted(err) {
		return nil, errors.Join(errLost, f.restart())
	}
	if _, whole := errors.AsType[*denial](err); !whole && denied(err) != "" {
		if all := f.rehearse(f.ctx); all != nil {
			err = all // it has stopped at the first that is missing
		}
	}
	if err != nil {
		f.listen(err)
	}
	return l, err
}

// listen reads what there is in a Redis that takes no writes, such as one that
// is full: who has signed out must not be let in by a machine that begins now.
// What cannot be read is read when it can be.
func (f *Fleet) listen(refused error) {
	if _, answers := errors.AsType[redis.Error](refused); !answers {
		return
	}
	_, _ = f.incarnation() // the time
	s := &f.stream
	if !s.listened {
		if f.readRevoked() != nil {
			return
		}
		s.listened = true
	}
	if s.position == "" {
		s.position = "0-0"
	}
	for more := true; more; {
		more, _ = f.advance(-1)
	}
}

func (f *Fleet) catchUp() (*link, error) {
	now, err := f.greet()
	if err != nil {
		return nil, err
	}
	if err := f.rehearse(f.ctx); err != nil {
		return nil, err
	}
	if mended, err := f.mend(); err != nil {
		return nil, err
	} else if mended {
		f.stream.unsure = true
		if now, err = f.incarnation(); err != nil {
			return nil, err
		}
	}
	s := &f.stream
	lost := s.incarnation != now
	if !lost {
		if err := f.checkMissed(); err != nil {
			return nil, err
		}
	}
	if err := f.position(); err != nil {
		return nil, err
	}
	if lost || s.unsure {
		// What is known here may not be there, and the other way round.
		if revocations := f.outbox.revocations(); revocations != nil {
			f.outbox.add(revocations.Names()...)
		}
		if err := f.readRevoked(); err != nil {
			return nil, err
		}
		if s.unsure {
			f.dropAll()
		}
		s.own.forget()
	}
	if err := f.replay(lost || s.unsure); err != nil {
		return nil, err
	}
	s.incarnation, s.unsure = now, false
	for {
		if err := f.flush(); err != nil {
			return nil, err
		}
		for more := true; more; {
			if more, err = f.advance(-1); err != nil {
				return nil, err
			}
		}
		if err := f.present(); err != nil {
			return nil, err
		}
		if l := f.rise(); l != nil || f.ctx.Err() != nil {
			return l, f.ctx.Err()
		}
		if err := f.replay(false); err != nil {
			return nil, err
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

// incarnation is that of the data. It takes the server's time as well.
func (f *Fleet) incarnation() (now string, err error) {
	err = f.try(f.ctx, func(ctx context.Context) error {
		pipe := f.client.Pipeline()
		read, began := pipe.Get(ctx, f.streamKey("incarnation")), time.Now()
		server := pipe.Time(ctx)
		if err := execute(ctx, pipe); err != nil {
			return err
		}
		now = read.Val()
		f.setTime(server.Val(), began)
		return nil
	})
	if err == nil && now == "" {
		return "", errLost
	}
	return now, err
}

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
		if err := f.check(); err != nil {
			return err
		}
		f.mu.Lock()
		f.journal.sweep()
		pending := len(f.journal.pending)
		f.mu.Unlock()
		if pending > 0 { // of just before the link began
			if err := f.replay(false); err != nil {
				return err
			}
		}
		if err := f.flush(); err != nil {
			return err
		}
	}
	return nil
}

// check finds out whether this machine goes on to hear of the others: whether
// the data are the same, and the stream goes on from where it was read.
func (f *Fleet) check() error {
	now, err := f.incarnation()
	if err == nil && now != f.stream.incarnation {
		err = errLost
	}
	if err != nil {
		return err
	}
	last, err := f.last()
	if err != nil {
		return err
	}
	latest := idAt(f.serverTime().Add(every)) // of an empty one that goes on
	if len(last) > 0 {
		latest = last[0].ID
	}
	if at, _ := parseID(latest); f.stream.own.missed() ||
		f.stream.read && before(latest, f.stream.position) ||
		int64(at) > f.serverTime().Add(stepBack).UnixMilli() { //nolint:gosec // more than an int64 holds is negative, and mended when it is missed
		f.stream.unsure = true
		return errLost
	}
	return f.present()
}
