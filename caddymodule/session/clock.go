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
	all []*Skew
}

// Skew is how far a clock is ahead of this machine's; ok tells whether that is
// known.
type Skew func() (skew time.Duration, ok bool)

// Follow has the clock run ahead of this machine's by what skew tells: moments
// are compared with those of issuers and of other machines, so that one clock
// for all is better than each its own. The latest counts that is known, until
// release is called: it may be that of a configuration that is refused.
func (r *Revocations) Follow(skew Skew) (release func()) {
	c := &r.clocks
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &skew
	c.all = append(c.all, one)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = slices.DeleteFunc(c.all, func(other *Skew) bool { return other == one })
	}
}

func (r *Revocations) clock(now time.Time) time.Time {
	c := &r.clocks
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range slices.Backward(c.all) {
		if skew, ok := (*known)(); ok {
			return now.Add(skew)
		}
	}
	return now
}
