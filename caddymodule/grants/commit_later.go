// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

// What the platform has answered cannot be had again: if the database does not take
// it, because it is locked, full or away, it is kept in memory and tried again.

// The time between two attempts: it doubles from the least to the most. The most is
// less than what is left of a lease, so that nobody spends the same credential
// before a database that is back has the answer.
const (
	minCommitInterval = 50 * time.Millisecond
	maxCommitInterval = time.Second
)

// laterCommits are the grants whose outcome is in memory only.
type laterCommits struct {
	mu      sync.Mutex
	pending map[string]int // by the id of the grant
	closing chan struct{}  // closed when the store is
	once    sync.Once
	group   sync.WaitGroup
}

func newLaterCommits() *laterCommits {
	return &laterCommits{pending: make(map[string]int), closing: make(chan struct{})}
}

// has tells whether something of a grant is not in the database yet.
func (c *laterCommits) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending[id] > 0
}

// add notes one more outcome of a grant, or one less, and returns of how many
// grants there are some.
func (c *laterCommits) add(id string, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[id] += n; c.pending[id] == 0 {
		delete(c.pending, id)
	}
	return len(c.pending)
}

// close has each outcome tried for the last time, and waits for that.
func (c *laterCommits) close() {
	c.once.Do(func() { close(c.closing) })
	c.group.Wait()
}

// commitLater calls commit again and again until its error is not [ErrUnavailable],
// or the store is closed: then once more.
func (s *Store) commitLater(id string, commit func(ctx context.Context) error) {
	if s.later.add(id, 1) == 1 {
		s.warn("the answer of a platform cannot be written to the grants' database: it is kept in memory and tried again; do not stop this process before the database is back", ErrUnavailable)
	}
	background.GoIn(&s.later.group, "storing what a platform has answered", func() {
		defer s.later.add(id, -1)
		wait := minCommitInterval
		for last := false; !last; wait = min(2*wait, maxCommitInterval) {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-s.later.closing:
				timer.Stop()
				last = true
			}
			err := commit(context.Background())
			if !errors.Is(err, ErrUnavailable) {
				return
			}
			if last {
				s.warn("the answer of a platform was not written to the grants' database before the end, and is lost: the person may have to consent anew", err)
			}
		}
	})
}
