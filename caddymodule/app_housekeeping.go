// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

// housekeeper does what is due of people's consents without a request, from Start to
// Stop of one configuration: see [grants.Consents.Keep]. Several machines and
// configurations may do so at the same time.
type housekeeper struct{ stop context.CancelFunc }

// start begins the housekeeping of providers whose consents end by a date, can be revoked
// or have to be refreshed.
func (h *housekeeper) start(providers map[string]*provider) {
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	for _, p := range providers {
		if !p.host.usesGrants {
			continue
		}
		if p.grantRevoker != nil || p.grantRefresher != nil {
			background.Go("housekeeping of grants", func() { p.consents.Keep(ctx) })
		}
		for _, s := range p.sources {
			background.Go("housekeeping of grants", func() { s.consents.Keep(ctx) })
		}
	}
}

// close ends the housekeeping. What is under way is finished.
func (h *housekeeper) close() {
	if h.stop != nil {
		h.stop()
	}
}
