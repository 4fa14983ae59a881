// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/status"
)

const (
	// statusTimeout bounds what the status asks of the database: a container's
	// health check waits for it.
	statusTimeout = 2 * time.Second

	// countInterval is the least time between two counts of the grants, which read
	// all of their index.
	countInterval = time.Minute
)

// grantCounts are the grants as they were counted last.
type grantCounts struct {
	mu      sync.Mutex
	counts  []status.GrantCount
	counted time.Time
}

// grantsStatus returns the state of the database of the grants, which it asks; nil
// if no provider uses grants.
func (a *App) grantsStatus(ctx context.Context) *status.Grants {
	used := false
	for _, p := range a.providers {
		used = used || p.host.usesGrants
	}
	if !used {
		return nil
	}
	s := &status.Grants{Kind: "sqlite"}
	if a.Grants != nil && a.Grants.Postgres != "" {
		s.Kind = "postgres"
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	a.grantStore.Ping(ctx)
	outage, store := a.grantStore.Outage(), a.grantStore.Open()
	switch {
	case outage != (grants.Outage{}):
		s.Since, s.Cause = outage.Since, outage.Cause
	case store == nil:
		s.Cause = "it is being opened"
	default:
		s.Up, s.Counts = true, a.grantCounts.get(ctx, store)
	}
	return s
}

// get returns the counts, and counts again if the last ones are old.
func (c *grantCounts) get(ctx context.Context, store *grants.Store) []status.GrantCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.counted.IsZero() && time.Since(c.counted) < countInterval {
		return c.counts
	}
	counts, err := store.CountByState(ctx)
	if err != nil {
		return nil // the next status tries again
	}
	c.counts, c.counted = []status.GrantCount{}, time.Now()
	for _, n := range counts {
		c.counts = append(c.counts, status.GrantCount{Provider: n.Provider, Source: n.Source, State: string(n.State), Grants: n.Grants})
	}
	return c.counts
}
