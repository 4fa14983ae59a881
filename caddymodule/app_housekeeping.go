// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

// housekeeper does what is due of people's consents without a request, from Start to
// Stop of one configuration: see [grants.Consents.Keep]. Several machines and
// configurations may do so at the same time.
type housekeeper struct {
	stop    context.CancelFunc
	running *sync.WaitGroup
}

// housekeepingEnd bounds how long what is under way is waited for. What takes longer is
// told again by the next process.
const housekeepingEnd = time.Second

// start begins the housekeeping of providers whose consents end by a date, can be revoked
// or have to be refreshed.
func (h *housekeeper) start(providers map[string]*provider) {
	ctx, stop := context.WithCancel(context.Background())
	h.stop, h.running = stop, new(sync.WaitGroup)
	for _, p := range providers {
		if !p.host.usesGrants {
			continue
		}
		if p.grantRevoker != nil || p.grantRefresher != nil {
			h.run(ctx, p.consents.Keep)
		}
		for _, s := range p.sources {
			h.run(ctx, s.consents.Keep)
		}
	}
}

func (h *housekeeper) run(ctx context.Context, keep func(context.Context)) {
	background.GoIn(h.running, "housekeeping of grants", func() { keep(ctx) })
}

// close ends the housekeeping. What is under way is finished.
func (h *housekeeper) close() {
	if h.stop != nil {
		h.stop()
	}
}

// wait waits, after close, for what is under way, so that the database is not closed
// before the outcome is in it.
func (h *housekeeper) wait() {
	if h.running == nil {
		return
	}
	done := make(chan struct{})
	background.Go("housekeeping of grants", func() { h.running.Wait(); close(done) })
	select {
	case <-done:
	case <-time.After(housekeepingEnd):
	}
}
