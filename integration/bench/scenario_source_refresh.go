// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// vendorTakes is how long a vendor takes for a token, in milliseconds.
const vendorTakes = 50

// refreshTakes is the setting of a vendor that takes a while for a refresh.
func refreshTakes(milliseconds int) map[string]any {
	return map[string]any{"outages": map[string]any{"refresh": map[string]any{"delay": milliseconds}}}
}

// sourceRefresh: the access tokens of everybody have ended, and everybody asks each of
// four replicas at about the same time.
func (b *bench) sourceRefresh(ctx context.Context) error {
	const replicas = 4
	b.report.staged(fmt.Sprintf("Refreshes: all access tokens have ended at the vendor, which rotates refresh tokens, ends the consent of one that is spent again, and takes %d ms. Everybody asks each of %d replicas, in the same order at the same time, over %d connections a replica. PostgreSQL waits for the disk.", issuerTakes, replicas, connections))
	for _, redis := range []bool{true, false} {
		s, err := b.sourceStage(ctx, sourcePlay{people: b.people, replicas: replicas, redis: redis})
		if err != nil {
			return err
		}
		if err := s.connectAll(ctx); err != nil {
			return err
		}
		all := &stage{servers: s.servers, users: s.users}
		if _, err := all.ask(ctx); err != nil { // each replica has everybody's tokens
			return err
		}
		if err := s.expire(ctx); err != nil {
			return err
		}
		if err := s.set(ctx, refreshTakes(issuerTakes)); err != nil {
			return err
		}
		if err := s.reset(ctx); err != nil {
			return err
		}
		begun := time.Now()
		samples, err := all.ask(ctx)
		if err != nil {
			return err
		}
		took := time.Since(begun)
		n, err := s.counts(ctx)
		if err != nil {
			return err
		}
		ended, _, err := s.ended(ctx)
		if err != nil {
			return err
		}
		with := "with a Redis"
		if !redis {
			with = "without Redis"
		}
		name := fmt.Sprintf("refreshes for %s grants on %d replicas %s", grouped(b.people), replicas, with)
		b.report.asked(name, "calls of the vendor", grouped(b.people), grouped(n.Refreshes), n.Refreshes == b.people && n.Refreshed == b.people)
		b.report.asked(name, "refresh tokens that were sent again", "0", grouped(n.RefreshReused), n.RefreshReused == 0)
		b.report.asked(name, "consents lost", "0", grouped(ended), ended == 0)
		b.reportFailed(name, samples)
		b.report.found(name, "time in all", seconds(took.Seconds()))
		b.stopAll()
	}
	return nil
}

// sourceStorm: everybody comes within one minute after a night in which all tokens
// have ended, beside some people whose tokens live.
func (b *bench) sourceStorm(ctx context.Context) error {
	live := max(1, b.people/10)
	b.report.staged(fmt.Sprintf("Storm: everybody's first request after a night comes within one minute, at an even pace; the vendor takes %d ms for a refresh. As many requests come of people whose tokens live.", vendorTakes))
	s, err := b.sourceStage(ctx, sourcePlay{people: b.people + live})
	if err != nil {
		return err
	}
	if err := s.connectAll(ctx); err != nil {
		return err
	}
	early := newLoad(s.servers[0].addr, s.users[b.people:])
	defer early.close()
	if failed := count(early.each(ctx), (*sample).failed); failed > 0 {
		return fmt.Errorf("%d people whose token lives are refused before the storm", failed)
	}
	if err := s.expire(ctx, s.accounts[:b.people]...); err != nil {
		return err
	}
	if err := s.set(ctx, refreshTakes(vendorTakes)); err != nil {
		return err
	}
	if err := s.reset(ctx); err != nil {
		return err
	}
	storm := newLoad(s.servers[0].addr, s.users[:b.people])
	defer storm.close()
	rate := float64(b.people) / 60
	var late, others []sample
	var both sync.WaitGroup
	both.Go(func() { others = early.steady(ctx, rate, time.Minute) })
	both.Go(func() { late = storm.steady(ctx, rate, time.Minute) })
	both.Wait()
	n, err := s.counts(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s people within one minute, the vendor takes %d ms", grouped(b.people), vendorTakes)
	b.report.asked(name, "calls of the vendor for tokens at once, at most", fmt.Sprintf("≤ %d", turns), grouped(n.TokensAtOnce), n.TokensAtOnce <= turns)
	b.report.asked(name, "calls of the vendor for tokens", grouped(b.people), grouped(n.Refreshes), n.Refreshes == b.people && n.RefreshReused == 0)
	b.report.asked(name, "people refused who have a live token", "0", failures(others), count(others, (*sample).failed) == 0)
	b.report.asked(name, "people refused whose token had ended", "0", failures(late), count(late, (*sample).failed) == 0)
	b.report.found(name, "slowest answer to somebody whose token had ended, and p99", seconds(quantile(times(late, every), 1))+", "+seconds(quantile(times(late, every), 0.99)))
	b.report.found(name, "p99 of those with a live token", seconds(quantile(times(others, every), 0.99)))
	return ctx.Err()
}

// sourceCode: a person's browser follows the vendor's redirect a hundred times at once.
func (b *bench) sourceCode(ctx context.Context) error {
	const times = 100
	s, err := b.sourceStage(ctx, sourcePlay{people: 100, replicas: 2})
	if err != nil {
		return err
	}
	f, err := s.servers[0].beginSource(ctx, s.users[0])
	if err != nil {
		return err
	}
	to, err := s.decide(ctx, f.page, s.accounts[0])
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for i := range times {
		all.Go(func() { _ = s.servers[i%2].endSource(ctx, f, to) }) // who comes late is told something else
	}
	all.Wait()
	n, err := s.counts(ctx)
	if err != nil {
		return err
	}
	ended, grants, err := s.ended(ctx)
	if err != nil {
		return err
	}
	l := newLoad(s.servers[1].addr, slices.Repeat(s.users[:1], 2))
	defer l.close()
	failed := count(l.each(ctx), (*sample).failed)
	name := fmt.Sprintf("the same code redeemed %d times at once, at 2 replicas", times)
	b.report.asked(name, "calls of the vendor", "1", grouped(n.Codes), n.Codes == 1)
	b.report.asked(name, "grants, of which work", "1, 1", fmt.Sprintf("%d, %d", grants, grants-ended), grants == 1 && ended == 0 && failed == 0)
	return nil
}
