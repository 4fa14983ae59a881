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

// watch connects, follows the stream, and connects again, until the fleet is
// closed.
func (f *Fleet) watch() {
	first := true
	for f.ctx.Err() == nil {
		// A panic is an outage: the watch goes on, or this machine would no longer
		// hear of purges.
		var ep *epoch
		err := background.Do("connecting to redis", func() (err error) {
			ep, err = f.connect()
			return err
		})
		if first {
			first = false
			close(f.firstAttempt)
		}
		if err == nil {
			err = background.Do("following redis", func() error { return f.follow(ep) })
		}
		if f.ctx.Err() == nil && err != nil {
			f.markDown(ep, err)
		}
		select {
		case <-time.After(retryEvery):
		case <-f.ctx.Done():
		}
	}
	if first {
		close(f.firstAttempt) // nothing will be tried any more
	}
}

// connect begins an epoch once this machine and the others know of each other's
// purges.
func (f *Fleet) connect() (*epoch, error) {
	ep, err := f.catchUp()
	if isExhausted(err) {
		return nil, errors.Join(errDataLost, f.resetStream())
	}
	if _, whole := errors.AsType[*aclDenial](err); !whole && deniedWords(err) != "" {
		if all := f.verifyPermissions(f.ctx); all != nil {
			err = all // the first command that is missing has ended it
		}
	}
	if err != nil {
		f.readWhileReadOnly(err)
	}
	return ep, err
}

// readWhileReadOnly reads the records and the stream of a Redis that takes no
// writes, such as one that is full: a machine that begins now must not let in
// people who have signed out. The rest is read when it can be. refused is the error
// of connecting.
func (f *Fleet) readWhileReadOnly(refused error) {
	if _, answers := errors.AsType[redis.Error](refused); !answers {
		return
	}
	_, _ = f.readIncarnation() // for the server's time
	s := &f.stream
	if !s.recordsRead {
		if f.readRevocations() != nil {
			return
		}
		s.recordsRead = true
	}
	if s.position == "" {
		s.position = "0-0"
	}
	for more := true; more; {
		more, _ = f.readEntries(-1)
	}
}

// catchUp reads the entries that were missed, publishes those that the others have
// missed, and begins an epoch.
func (f *Fleet) catchUp() (*epoch, error) {
	now, err := f.probeWrite()
	if err != nil {
		return nil, err
	}
	if err := f.verifyPermissions(f.ctx); err != nil {
		return nil, err
	}
	if mended, err := f.resetFutureStream(); err != nil {
		return nil, err
	} else if mended {
		f.stream.entriesMissed = true
		if now, err = f.readIncarnation(); err != nil {
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
	if err := f.seek(); err != nil {
		return nil, err
	}
	if lost || s.entriesMissed {
		// Revocations that are known here may be missing there, and the other way
		// round.
		if revocations := f.revocationOutbox.revocations(); revocations != nil {
			f.revocationOutbox.add(revocations.Targets()...)
		}
		if err := f.readRevocations(); err != nil {
			return nil, err
		}
		if s.entriesMissed {
			f.dropAll()
		}
		s.echoes.reset()
		s.lastRead = ""
	}
	if err := f.republishPurges(lost || s.entriesMissed); err != nil {
		return nil, err
	}
	s.incarnation, s.entriesMissed = now, false
	for {
		if err := f.publishOutbox(); err != nil {
			return nil, err
		}
		for more := true; more; {
			if more, err = f.readEntries(-1); err != nil {
				return nil, err
			}
		}
		if err := f.announcePresence(); err != nil {
			return nil, err
		}
		if ep := f.markUp(); ep != nil || f.ctx.Err() != nil {
			return ep, f.ctx.Err()
		}
		if err := f.republishPurges(false); err != nil {
			return nil, err
		}
	}
}

// probeWrite writes, so that a Redis that is full or a replica is found out, and
// returns the incarnation of its data.
func (f *Fleet) probeWrite() (string, error) {
	write := func(ctx context.Context) error {
		return f.client.SetNX(ctx, f.streamKey("incarnation"), rand.Text(), 0).Err()
	}
	// The first write may include a dial. The second may not take longer than a
	// request waits.
	ctx, cancel := context.WithTimeout(f.ctx, dialFactor*f.timeout)
	defer cancel()
	if err := write(ctx); err != nil {
		return "", err
	}
	if err := f.try(f.ctx, write); err != nil {
		return "", err
	}
	return f.readIncarnation()
}

// readIncarnation returns the incarnation of the data, and records the server's
// time. The error is errDataLost if there is none.
func (f *Fleet) readIncarnation() (now string, err error) {
	err = f.try(f.ctx, func(ctx context.Context) error {
		pipe := f.client.Pipeline()
		read, began := pipe.Get(ctx, f.streamKey("incarnation")), time.Now()
		server := pipe.Time(ctx)
		if err := execute(ctx, pipe); err != nil {
			return err
		}
		now = read.Val()
		f.recordServerTime(server.Val(), began)
		return nil
	})
	if err == nil && now == "" {
		return "", errDataLost
	}
	return now, err
}

// follow applies entries as they come, and publishes the outboxes, until the epoch
// ends or an error ends it.
func (f *Fleet) follow(ep *epoch) error {
	checked := time.Now()
	for f.health.epoch.Load() == ep {
		if _, err := f.readEntries(retryEvery); err != nil {
			return err
		}
		if time.Since(checked) < retryEvery {
			continue
		}
		checked = time.Now()
		if err := f.checkContinuity(); err != nil {
			return err
		}
		f.mu.Lock()
		f.purgeOutbox.dropPublished()
		pending := len(f.purgeOutbox.pending)
		f.mu.Unlock()
		if pending > 0 { // of just before the epoch began
			if err := f.republishPurges(false); err != nil {
				return err
			}
		}
		if err := f.publishOutbox(); err != nil {
			return err
		}
	}
	return nil
}

// checkContinuity finds out whether this machine goes on to hear of the others:
// whether the data are the same, and the stream goes on from where it was read. The
// error is errDataLost if not.
func (f *Fleet) checkContinuity() error {
	now, err := f.readIncarnation()
	if err == nil && now != f.stream.incarnation {
		err = errDataLost
	}
	if err != nil {
		return err
	}
	// Another Redis may have taken over without an end of the epoch. An entry of
	// long ago may have been trimmed.
	there := true
	if at, _ := parseID(f.stream.lastRead); int64(at) > f.serverTime().Add(-streamTTL/2).UnixMilli() { //nolint:gosec // a moment in milliseconds
		if there, err = f.hasEntry(f.stream.lastRead); err != nil {
			return err
		}
	}
	last, err := f.lastEntry()
	if err != nil {
		return err
	}
	latest := idAt(f.serverTime().Add(retryEvery)) // where an empty stream goes on
	if len(last) > 0 {
		latest = last[0].ID
	}
	if at, _ := parseID(latest); !there || f.stream.echoes.overdue() ||
		f.stream.positionRead && idBefore(latest, f.stream.position) ||
		int64(at) > f.serverTime().Add(rereadWindow).UnixMilli() { //nolint:gosec // more than an int64 holds is negative, and mended when it is missed
		f.stream.entriesMissed = true
		return errDataLost
	}
	return f.announcePresence()
}
