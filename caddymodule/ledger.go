// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// ledgerLinger is how long a store of grants stays open that a reload has
// replaced: longer than the look-ups that may be under way. They end by their
// own deadline, and not with the configuration in which they began.
const ledgerLinger = 45 * time.Second

// ledger is the pooled store of grants. It outlives configurations that leave
// its settings as they were.
type ledger struct{ *grants.Opener }

// ledgers are those in the pool, and those that have left it and are still
// open.
var ledgers struct {
	mu      sync.Mutex
	pooled  int
	leaving map[*ledger]*time.Timer
}

func newLedger(o *grants.Opener) *ledger {
	ledgers.mu.Lock()
	defer ledgers.mu.Unlock()
	ledgers.pooled++
	return &ledger{o}
}

// Destruct closes the database: after a while if another configuration has
// taken over, at once if there is none. Then whoever moves or restores the file
// finds that nobody has it open.
func (l *ledger) Destruct() error {
	ledgers.mu.Lock()
	ledgers.pooled--
	if ledgers.pooled > 0 && l.Opened() {
		if ledgers.leaving == nil {
			ledgers.leaving = make(map[*ledger]*time.Timer)
		}
		ledgers.leaving[l] = background.After(ledgerLinger, "closing the grants", func() {
			ledgers.mu.Lock()
			delete(ledgers.leaving, l)
			ledgers.mu.Unlock()
			_ = l.Close() // nobody is left to tell
		})
		ledgers.mu.Unlock()
		return nil
	}
	over := []*ledger{l}
	if ledgers.pooled == 0 {
		for other, timer := range ledgers.leaving {
			timer.Stop()
			over = append(over, other)
		}
		clear(ledgers.leaving)
	}
	ledgers.mu.Unlock()
	var errs []error
	for _, l := range over {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// GoString keeps the usage pool from printing what it holds when it panics.
func (*ledger) GoString() string { return "delegate grants" }
