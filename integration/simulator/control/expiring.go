// SPDX-License-Identifier: Apache-2.0

package control

import (
	"sync"
	"time"
)

// Expiring is a map whose entries are dropped some time after they have
// expired. The zero value is ready.
type Expiring[V any] struct {
	mu      sync.RWMutex
	entries map[string]expiring[V]
	sweepAt int
}

type expiring[V any] struct {
	value   V
	expires time.Time
}

// Add adds an entry if the key is new, and returns whether it is.
func (e *Expiring[V]) Add(key string, value V, expires, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.entries[key]; ok {
		return false
	}
	if e.entries == nil {
		e.entries = make(map[string]expiring[V])
	}
	if len(e.entries) >= e.sweepAt {
		for k, old := range e.entries {
			if !now.Before(old.expires) {
				delete(e.entries, k)
			}
		}
		e.sweepAt = max(1024, 2*len(e.entries))
	}
	e.entries[key] = expiring[V]{value, expires}
	return true
}

// Read calls f with the value of a key, the zero value if there is none.
func (e *Expiring[V]) Read(key string, f func(V)) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	f(e.entries[key].value)
}

// Change calls f with every value. f alone may change what they lead to.
func (e *Expiring[V]) Change(f func(V)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, entry := range e.entries {
		f(entry.value)
	}
}
