// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// grantsCloseDelay is how long a store of grants stays open that a reload has
// replaced: longer than the look-ups that may be under way. They end by their
// own deadline, and not with the configuration in which they began.
const grantsCloseDelay = 45 * time.Second

// pooledGrants is the pooled store of grants. It outlives configurations that leave
// its settings as they were.
type pooledGrants struct{ *grants.LazyStore }

// openGrants are those in the pool, and those that have left it and are still
// open.
var openGrants struct {
	mu      sync.Mutex
	pooled  int
	leaving map[*pooledGrants]*time.Timer
}

func newPooledGrants(o *grants.LazyStore) *pooledGrants {
	openGrants.mu.Lock()
	defer openGrants.mu.Unlock()
	openGrants.pooled++
	return &pooledGrants{o}
}

// Destruct closes the database: after a while if another configuration has
// taken over, at once if there is none. Then whoever moves or restores the file
// finds that nobody has it open.
func (l *pooledGrants) Destruct() error {
	openGrants.mu.Lock()
	openGrants.pooled--
	if openGrants.pooled > 0 && l.IsOpen() {
		if openGrants.leaving == nil {
			openGrants.leaving = make(map[*pooledGrants]*time.Timer)
		}
		openGrants.leaving[l] = background.After(grantsCloseDelay, "closing the grants", func() {
			openGrants.mu.Lock()
			delete(openGrants.leaving, l)
			openGrants.mu.Unlock()
			_ = l.Close() // nobody is left to tell
		})
		openGrants.mu.Unlock()
		return nil
	}
	over := []*pooledGrants{l}
	if openGrants.pooled == 0 {
		for other, timer := range openGrants.leaving {
			timer.Stop()
			over = append(over, other)
		}
		clear(openGrants.leaving)
	}
	openGrants.mu.Unlock()
	var errs []error
	for _, l := range over {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// GoString keeps the usage pool from printing what it holds when it panics.
func (*pooledGrants) GoString() string { return "delegate grants" }
