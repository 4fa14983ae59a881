// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// slice is how long a contender is measured before it is the next one's
	// turn. Short slices in turn see the same machine, whatever else it does.
	slice = 500 * time.Millisecond

	// warmUp is how long each contender is used before anything counts.
	warmUp = time.Second
)

// compare measures this module beside others.
func (b *bench) compare(ctx context.Context) error {
	return b.compareAll(ctx, contenders(b.before))
}

// compareConnect measures calls to a Connect platform beside those to MyDataHelps.
func (b *bench) compareConnect(ctx context.Context) error {
	return b.compareAll(ctx, connectContenders())
}

// compareAll measures the contenders side by side.
func (b *bench) compareAll(ctx context.Context, all []*contender) error {
	_, addr, err := b.start("upstream")
	if err != nil {
		return err
	}
	key, _, err := b.accountKey()
	if err != nil {
		return err
	}
	up := &upstreams{platform: "http://" + addr, addr: addr, key: key}
	for _, c := range all {
		if c.server, err = c.start(ctx, b, up); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		c.load = newLoad(c.server.addr, userIDs(c.users))
		defer c.load.close()
		if err := c.prepare(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	var others []float64
	for pair := range b.pairs {
		watched := b.watchOtherLoad()
		if err := b.comparePair(ctx, all); err != nil {
			return err
		}
		others = append(others, watched.share(b))
		fmt.Fprintf(b.stdout, "%d/%d", pair+1, b.pairs)
		for _, c := range all {
			fmt.Fprintf(b.stdout, "  %.0f", c.rounds[pair].rate())
		}
		fmt.Fprintf(b.stdout, " requests/s, others used %.0f %% of the CPUs\n", 100*others[pair])
	}
	b.report.compared(b.options, all, others)
	return ctx.Err()
}

// prepare fills the caches: every participant once, then some load.
func (c *contender) prepare(ctx context.Context) error {
	failed := count(c.load.each(ctx), (*sample).failed) + count(c.load.full(ctx, warmUp), (*sample).failed)
	if failed > 0 {
		return fmt.Errorf("%d requests failed before anything was measured", failed)
	}
	return ctx.Err()
}

// comparePair measures every contender for b.duration, in slices, in turn:
// forth and back, so that none is always behind the same one.
func (b *bench) comparePair(ctx context.Context, all []*contender) error {
	rounds := make([]round, len(all))
	took := make([][]float64, len(all))
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	for range max(1, int(b.duration/slice)) {
		for _, i := range order {
			c, r := all[i], &rounds[i]
			before, err := c.server.cpu()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			begun := time.Now()
			samples := c.load.full(ctx, slice)
			r.measured += time.Since(begun)
			after, err := c.server.cpu()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			r.cpu += after - before
			r.requests += len(samples)
			r.failed += count(samples, (*sample).failed)
			took[i] = append(took[i], times(samples, every)...)
		}
		slices.Reverse(order)
	}
	for i, c := range all {
		rounds[i].p50, rounds[i].p99 = quantile(took[i], 0.5), quantile(took[i], 0.99)
		c.rounds = append(c.rounds, rounds[i])
	}
	return ctx.Err()
}

// of collects one figure of all rounds.
func (c *contender) of(f func(round) float64) []float64 {
	values := make([]float64, len(c.rounds))
	for i, r := range c.rounds {
		values[i] = f(r)
	}
	return values
}
