// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"sync"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const maxWaits, maxWaitsPerPerson = 1000, 3

// WaitLimiter bounds how many requests wait for consent flows to end: 1000 at
// once, and 3 of one person. The zero WaitLimiter is ready for use, by many
// goroutines.
type WaitLimiter struct {
	mu        sync.Mutex
	total     int
	perPerson map[delegation.Person]int
}

// Acquire tells whether one more request of a person may wait. If so, Release has
// to be called when it has waited.
func (l *WaitLimiter) Acquire(p delegation.Person) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= maxWaits || l.perPerson[p] >= maxWaitsPerPerson {
		return false
	}
	if l.perPerson == nil {
		l.perPerson = make(map[delegation.Person]int)
	}
	l.total++
	l.perPerson[p]++
	return true
}

// Release undoes Acquire.
func (l *WaitLimiter) Release(p delegation.Person) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.perPerson[p]--; l.perPerson[p] == 0 {
		delete(l.perPerson, p)
	}
}
