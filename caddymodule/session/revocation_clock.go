// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync"
	"time"
)

// clockSources are those that are followed, the latest last.
type clockSources struct {
	mu  sync.Mutex
	all []*clockSource
}

// clockSource is another clock, and who tells of it.
type clockSource struct {
	skew        Skew
	syncedUntil SyncedUntil
}

// Skew is how far a clock is ahead of this machine's; ok tells whether that is
// known.
type Skew func() (skew time.Duration, ok bool)

// SyncedUntil is until when everything is known that other machines have revoked.
type SyncedUntil func() time.Time

// FollowClock has the clock run ahead of this machine's by what skew tells: moments
// are compared with those of issuers and of other machines, so that one clock
// for all is better than each its own. The latest counts that is known, until
// release is called: it may be that of a configuration that is refused. What
// other machines may yet tell of is kept until it was heard.
func (r *Revocations) FollowClock(skew Skew, heard SyncedUntil) (release func()) {
	c := &r.clocks
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &clockSource{skew, heard}
	c.all = append(c.all, one)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = slices.DeleteFunc(c.all, func(other *clockSource) bool { return other == one })
	}
}

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

// syncedUntil is until when all is known that was revoked.
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
