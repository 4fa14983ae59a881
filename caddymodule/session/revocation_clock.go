// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync"
	"time"
)

// clockSources are the clocks that revocations follow, the latest last.
type clockSources struct {
	mu  sync.Mutex
	all []*clockSource
}

// clockSource is the clock that several machines share.
type clockSource struct {
	skew        Skew
	syncedUntil SyncedUntil
}

// Skew returns how far another clock is ahead of this machine's; ok is whether that is
// known.
type Skew func() (skew time.Duration, ok bool)

// SyncedUntil returns the time until which all revocations of other machines are known.
type SyncedUntil func() time.Time

// FollowClock makes the revocations use a clock that is ahead of this machine's by skew:
// their times are compared with those of other machines, so that one clock for all is
// better. What other machines may still revoke is remembered until syncedUntil has passed
// it. Of several clocks the latest known one counts, until release is called: it may be
// that of a configuration that is not loaded in the end.
func (r *Revocations) FollowClock(skew Skew, syncedUntil SyncedUntil) (release func()) {
	c := &r.clocks
	c.mu.Lock()
	defer c.mu.Unlock()
	added := &clockSource{skew, syncedUntil}
	c.all = append(c.all, added)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = slices.DeleteFunc(c.all, func(other *clockSource) bool { return other == added })
	}
}

// clock returns a time of this machine by the common clock.
func (r *Revocations) clock(now time.Time) time.Time {
	c := &r.clocks
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range slices.Backward(c.all) {
		if skew, ok := known.skew(); ok {
			return now.Add(skew)
		}
	}
	return now
}

// syncedUntil returns the time, by this machine's clock, until which all revocations of
// other machines are known: now if there are no others.
func (r *Revocations) syncedUntil(now time.Time) time.Time {
	c := &r.clocks
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.all {
		if at := known.syncedUntil(); at.Before(now) {
			now = at
		}
	}
	return now
}
