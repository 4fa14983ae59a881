// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync"
	"time"
)

// clocks are those that are followed, the latest last.
type clocks struct {
	mu  sync.Mutex
	all []*followed
}

// followed is another clock, and who tells of it.
type followed struct {
	skew  Skew
	heard Heard
}

// Skew is how far a clock is ahead of this machine's; ok tells whether that is
// known.
type Skew func() (skew time.Duration, ok bool)

// Heard is until when everything is known that other machines have revoked.
type Heard func() time.Time

// Follow has the clock run ahead of this machine's by what skew tells: moments
// are compared with those of issuers and of other machines, so that one clock
// for all is better than each its own. The latest counts that is known, until
// release is called: it may be that of a configuration that is refused. What
// other machines may yet tell of is kept until it was heard.
func (r *Revocations) Follow(skew Skew, heard Heard) (release func()) {
	c := &r.clocks
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &followed{skew, heard}
	c.all = append(c.all, one)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = slices.DeleteFunc(c.all, func(other *followed) bool { return other == one })
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

// heard is until when all is known that was revoked.
func (r *Revocations) heard(now time.Time) time.Time {
	c := &r.clocks
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.all {
		if at := known.heard(); at.Before(now) {
			now = at
		}
	}
	return now
}
