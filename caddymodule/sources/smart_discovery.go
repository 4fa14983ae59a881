// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

const (
	// maxSMARTConfiguration bounds a SMART configuration, in bytes: those of large
	// hospitals name some hundred scopes.
	maxSMARTConfiguration = 256 << 10

	smartFresh      = time.Hour        // of what was found
	smartRetry      = 10 * time.Second // after a failure, as long as nothing was found
	smartRetryLater = time.Minute      // after a failure since
)

// smartDiscovery finds the addresses of a FHIR server's authorization server. What was
// found is kept: for an hour it is not asked for again, and while the server does not
// answer it goes on to be used, as the addresses hardly ever change. It is safe for
// concurrent use.
type smartDiscovery struct {
	config *Config
	host   *sourceHost // set before the first call of find

	flights *singleflight.Group[struct{}, *endpoints]

	mu     sync.Mutex
	found  *endpoints // the last that was found; nil if none ever was
	failed error      // why none was found at the last attempt
	next   time.Time  // of the next attempt
}

func newSMARTDiscovery(c *Config, host *sourceHost) *smartDiscovery {
	return &smartDiscovery{
		config: c, host: host,
		flights: singleflight.New[struct{}, *endpoints](singleflight.Limits{Timeout: delegation.DefaultTimeout}),
	}
}

// find returns the addresses. Nobody waits for a server that has named them before. The
// error is a [*delegation.Refusal] with the code issuer_unavailable.
func (d *smartDiscovery) find(ctx context.Context) (*endpoints, error) {
	d.mu.Lock()
	now := time.Now()
	found, failed, wait := d.found, d.failed, d.next.Sub(now)
	if found != nil && wait <= 0 {
		d.next = now.Add(smartRetryLater) // one attempt, whoever comes meanwhile
	}
	d.mu.Unlock()
	switch {
	case found != nil && wait > 0:
		return found, nil
	case found != nil:
		ctx := delegation.Detach(ctx)
		background.Go("reading a SMART configuration", func() { _, _ = d.flights.Do(ctx, "", struct{}{}, d.read) })
		return found, nil
	case wait <= 0:
		if found, failed = d.flights.Do(ctx, "", struct{}{}, d.read); failed == nil {
			return found, nil
		}
	}
	r := unreachable("the SMART configuration of the FHIR server", failed)
	r.RetryAfter = max(wait, 0)
	return nil, r
}

// known returns the addresses that were found last, however long ago; nil if none were.
func (d *smartDiscovery) known() *endpoints {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.found
}

// read asks the server, and keeps what it has answered.
func (d *smartDiscovery) read(ctx context.Context) (*endpoints, error) {
	found, err := d.ask(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.found, d.failed, d.next = found, nil, time.Now().Add(smartFresh)
	case d.found == nil:
		d.failed, d.next = err, time.Now().Add(smartRetry)
	}
	return found, err
}

func (d *smartDiscovery) ask(ctx context.Context) (*endpoints, error) {
	req, err := d.config.smartConfigurationRequest(ctx)
	if err != nil {
		return nil, err
	}
	a, err := d.host.doUpTo(req, maxSMARTConfiguration)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("status %d: check fhir_base", a.status)
	}
	members, err := a.members()
	if err != nil {
		return nil, err
	}
	return d.config.readSMARTConfiguration(members)
}
