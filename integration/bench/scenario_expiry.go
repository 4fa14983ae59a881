// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// expiry: the tokens of ten thousand active users all end within a second; a use
// renews each before, at random over a tenth of its life. Once the tokens are so
// short that two cores hardly mint that many in time, once they are longer.
func (b *bench) expiry(ctx context.Context) error {
	for _, life := range []time.Duration{40 * time.Second, 2 * time.Minute} {
		if err := b.expiryOf(ctx, life); err != nil {
			return err
		}
		b.stopAll()
	}
	return nil
}

func (b *bench) expiryOf(ctx context.Context, life time.Duration) error {
	const (
		people = 10_000
		rate   = 2000
		after  = 5 * time.Second // beyond their end
	)
	s, err := b.stage(ctx, play{people: people, by: byID})
	if err != nil {
		return err
	}
	l := newLoad(s.servers[0].addr, s.users)
	defer l.close()

	end := time.Now().Add(life)
	if err := s.fillUntil(ctx, l, end); err != nil {
		return err
	}
	begun := time.Now()
	minted := make(chan []int, 1)
	go func() { minted <- s.mintsBySecond(ctx, begun, time.Until(end)+after) }()
	samples := l.steady(ctx, rate, time.Until(end)+after)
	mints := <-minted
	if ctx.Err() != nil {
		return ctx.Err()
	}

	first, last, busiest := renewals(mints)
	if busiest < 0 {
		return fmt.Errorf("no token was renewed")
	}
	b.report.staged(fmt.Sprintf("Expiry: %d requests a second, everybody in turn. All tokens end together; each is renewed by its first use after 55 to 65 %% of its life. Load, Caddy and platform share the machine's cores, so a p99 has the load's own hiccups and the platform's minting in it.", rate))
	name := fmt.Sprintf("tokens of %s active users, of %.0f s, end within 1 s", grouped(people), life.Seconds())
	missed := count(samples, func(s *sample) bool { return s.missed })
	b.report.asked(name, "requests that waited for a mint", "0", grouped(missed), missed == 0)
	b.report.asked(name, "requests that failed", "0", failures(samples), count(samples, (*sample).failed) == 0)

	// The seconds before are looked at one by one, as the renewal second is.
	var before []float64
	for second := range first {
		before = append(before, p99(samples, second, second+1))
	}
	base := median(before)
	during := p99(samples, busiest, busiest+1)
	b.report.asked(name, fmt.Sprintf("p99 in the second with the most renewals (%s), of that before", grouped(mints[busiest])),
		"≤ 1.5", fmt.Sprintf("%.2f (%s, before %s)", during/base, seconds(during), seconds(base)), during <= 1.5*base)
	all := p99(samples, first, last+1)
	b.report.found(name, fmt.Sprintf("p99 in all %d seconds with renewals, of that before", last-first+1),
		fmt.Sprintf("%.2f (%s, before %s)", all/p99(samples, 0, first), seconds(all), seconds(p99(samples, 0, first))))
	return nil
}

// fillUntil gives everybody a token that ends at the same time, to the second.
func (s *stage) fillUntil(ctx context.Context, l *load, end time.Time) error {
	set := func() error {
		return s.set(ctx, map[string]any{"participantTokenLifetime": int(math.Round(time.Until(end).Seconds()))})
	}
	if err := set(); err != nil {
		return err
	}
	filled := make(chan error, 1)
	go func() { filled <- s.fill(ctx, l) }()
	for tick := time.Tick(100 * time.Millisecond); ; {
		select {
		case err := <-filled:
			if err != nil {
				return err
			}
			return s.set(ctx, map[string]any{"participantTokenLifetime": 3600})
		case <-tick:
			if err := set(); err != nil {
				return err
			}
		}
	}
}

// mintsBySecond counts the mints in each second since begun, for a time.
func (s *stage) mintsBySecond(ctx context.Context, begun time.Time, d time.Duration) []int {
	mints := make([]int, int(d.Seconds())+1)
	seen, err := s.counts(ctx)
	for second := range mints {
		if err != nil || wait(ctx, time.Until(begun.Add(time.Duration(second+1)*time.Second))) != nil {
			break
		}
		before := seen.ParticipantTokens
		seen, err = s.counts(ctx)
		mints[second] = seen.ParticipantTokens - before
	}
	return mints
}

// renewals tells the first and the last second with mints, and the one with
// the most; -1 if there are none.
func renewals(mints []int) (first, last, busiest int) {
	first, last, busiest = -1, -1, -1
	for second, n := range mints {
		if n == 0 {
			continue
		}
		if first < 0 {
			first = second
		}
		if last = second; busiest < 0 || n > mints[busiest] {
			busiest = second
		}
	}
	return first, last, busiest
}

// p99 of the requests that were sent from one second to another.
func p99(samples []sample, from, to int) float64 {
	return quantile(times(samples, func(s *sample) bool {
		return s.at >= time.Duration(from)*time.Second && s.at < time.Duration(to)*time.Second
	}), 0.99)
}
