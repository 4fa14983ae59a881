// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// issuer503: the issuer answers 503 after half a second, and twenty clients
// ask at once. A mutex around the call would have the last one wait for ten
// seconds.
func (b *bench) issuer503(ctx context.Context) error {
	const clients = 20
	for _, people := range []int{1, clients} {
		s, err := b.stage(ctx, play{people: people, by: byID})
		if err != nil {
			return err
		}
		if err := s.tokenOutage(ctx, simulator.Outage{Delay: 500, Status: 503}); err != nil {
			return err
		}
		samples, err := burst(ctx, s.servers[0].addr, slices.Repeat(s.users, clients/people), func() error { return nil })
		if err != nil {
			return err
		}
		seen, err := s.watched(ctx)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("issuer answers 503 after 0.5 s, %d clients of %s", clients, counted(people, "participant"))
		slowest := quantile(times(samples, every), 1)
		refused := count(samples, func(s *sample) bool { return s.status == 503 })
		b.report.asked(name, "calls at the issuer", "1", grouped(seen.Calls), seen.Calls == 1)
		b.report.asked(name, "slowest answer", "≤ 0.7 s", seconds(slowest), slowest <= 0.7)
		b.report.asked(name, "answered with 503", grouped(clients), grouped(refused), refused == clients)
		b.stopAll()
	}
	return nil
}

// issuerDown: the issuer drops every connection for half a minute in which uses
// of tokens are to renew them, while those at hand still serve.
func (b *bench) issuerDown(ctx context.Context) error {
	const (
		people = 2000
		rate   = 1000

		// A token is renewed by its first use from 33 to 39 s after it was minted,
		// and serves for 54 s.
		life   = 60
		begins = 11 * time.Second
		lasts  = 30 * time.Second
		after  = 29 * time.Second
	)
	b.report.staged(fmt.Sprintf("Issuer down: %d people, %d requests a second, tokens of %d s. Every connection to the token endpoint is dropped for %s, in which tokens come due: each is renewed by its first use after 55 to 65 %% of its life, and serves until 90 %%.", people, rate, life, lasts))
	s, err := b.stage(ctx, play{people: people, by: byID, platform: map[string]any{"participantTokenLifetime": life}})
	if err != nil {
		return err
	}
	l := newLoad(s.servers[0].addr, s.users)
	defer l.close()
	if err := s.fill(ctx, l); err != nil {
		return err
	}
	var before, during watched
	over := make(chan error, 1)
	go func() {
		over <- func() (err error) {
			if err := wait(ctx, begins); err != nil {
				return err
			}
			if before, err = s.watched(ctx); err != nil {
				return err
			}
			if err := s.tokenOutage(ctx, simulator.Outage{Reset: true}); err != nil {
				return err
			}
			if err := wait(ctx, lasts); err != nil {
				return err
			}
			if during, err = s.watched(ctx); err != nil {
				return err
			}
			return s.tokenOutage(ctx, simulator.Outage{})
		}()
	}()
	samples := l.steady(ctx, rate, begins+lasts+after)
	if err := <-over; err != nil {
		return err
	}
	n, err := s.counts(ctx)
	if err != nil {
		return err
	}
	name := "issuer down for 30 s, tokens of 60 s due for renewal"
	b.report.asked(name, "requests that failed", "0", failures(samples), count(samples, (*sample).failed) == 0)
	b.report.found(name, "requests that waited for a token", grouped(count(samples, func(s *sample) bool { return s.missed })))
	b.report.found(name, "requests in all, and calls at the issuer while it was down", fmt.Sprintf("%s, %s", grouped(len(samples)), grouped(during.Calls)))
	b.report.found(name, "participant tokens minted, before and after", fmt.Sprintf("%s, %s", grouped(before.Calls-1), grouped(n.ParticipantTokens-before.Calls+1)))
	return nil
}

// wait waits for a time of the script of a scenario.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// revoked: the platform revokes every token while they are in use.
func (b *bench) revoked(ctx context.Context) error {
	const people = 100
	s, err := b.stage(ctx, play{people: people, by: byID})
	if err != nil {
		return err
	}
	l := newLoad(s.servers[0].addr, s.users)
	defer l.close()
	if err := s.fill(ctx, l); err != nil {
		return err
	}
	if _, err := s.watched(ctx); err != nil {
		return err
	}
	over := make(chan error, 1)
	go func() {
		over <- func() error {
			if err := wait(ctx, 2*time.Second); err != nil {
				return err
			}
			return s.control(ctx, "POST", "/_simulator/revoke", map[string]string{"participantID": ""}, nil)
		}()
	}()
	samples := l.full(ctx, 5*time.Second)
	if err := <-over; err != nil {
		return err
	}
	seen, err := s.watched(ctx)
	if err != nil {
		return err
	}
	n, err := s.counts(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("all tokens of %d participants revoked under load", people)
	b.report.asked(name, "mints for one participant, at most", "1", grouped(seen.Most), seen.Most == 1)
	b.report.asked(name, "calls at the issuer", "≤ "+grouped(people), grouped(seen.Calls), seen.Calls <= people)
	b.report.asked(name, "requests that failed", "0", failures(samples), count(samples, (*sample).failed) == 0)
	b.report.found(name, "requests in all, and 401 of the platform", fmt.Sprintf("%s, %s", grouped(len(samples)), grouped(n.Unauthorized)))
	return nil
}
