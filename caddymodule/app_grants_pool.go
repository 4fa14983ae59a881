// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// grantsCloseDelay is how long a store stays open that a reload has replaced:
// longer than the deadline of a look-up, which does not end with the
// configuration that began it.
const grantsCloseDelay = 45 * time.Second

// pooledGrants is the store of grants in the pool. It outlives the
// configurations that leave its settings as they were.
type pooledGrants struct{ *grants.LazyStore }

// openGrants are the process's stores: the number of those in the pool, and
// those that have left it and are closed when their timer fires.
var openGrants struct {
	mu      sync.Mutex
	pooled  int
	closing map[*pooledGrants]*time.Timer
}

// newPooledGrants counts a store that enters the pool.
func newPooledGrants(store *grants.LazyStore) *pooledGrants {
	openGrants.mu.Lock()
	defer openGrants.mu.Unlock()
	openGrants.pooled++
	return &pooledGrants{store}
}

// Destruct closes the database: after grantsCloseDelay if another configuration
// has a store, at once if none has. An operator who then moves or restores the
// file finds it closed.
func (p *pooledGrants) Destruct() error {
	openGrants.mu.Lock()
	openGrants.pooled--
	if openGrants.pooled > 0 && p.IsOpen() {
		p.closeLater()
		openGrants.mu.Unlock()
		return nil
	}
	stores := []*pooledGrants{p}
	if openGrants.pooled == 0 {
		for other, timer := range openGrants.closing {
			timer.Stop()
			stores = append(stores, other)
		}
		clear(openGrants.closing)
	}
	openGrants.mu.Unlock()
	var errs []error
	for _, store := range stores {
		errs = append(errs, store.Close())
	}
	return errors.Join(errs...)
}

// closeLater closes the store after grantsCloseDelay. The caller holds the lock.
func (p *pooledGrants) closeLater() {
	if openGrants.closing == nil {
		openGrants.closing = make(map[*pooledGrants]*time.Timer)
	}
	openGrants.closing[p] = background.After(grantsCloseDelay, "closing the grants", func() {
		openGrants.mu.Lock()
		delete(openGrants.closing, p)
		openGrants.mu.Unlock()
		_ = p.Close() // no configuration is left to log it
	})
}

// GoString keeps the usage pool from printing the store when it panics.
func (*pooledGrants) GoString() string { return "delegate grants" }
