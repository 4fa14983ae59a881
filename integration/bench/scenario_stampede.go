// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

const (
	crowd = 10_000

	// turns is how many mints may be at the issuer at once, the default.
	turns = 16

	// issuerTakes is how long the issuer takes for a token, in milliseconds:
	// one that answers at once never has many calls at the same time.
	issuerTakes = 5

	// gathering is how long to wait for the whole crowd. A mint may take 10 s,
	// and the issuer is held back meanwhile.
	gathering = 4 * time.Second
)

// onePersonsCrowd is how many requests of one person may wait: further ones are
// refused at once.
const onePersonsCrowd = 500

// fewConnections keeps reverse_proxy from opening ten thousand connections to
// the platform at once when the crowd is let go. The kernel would not take
// them all in time, for any proxy; it is not what is looked at here.
const fewConnections = " {\n\t\t\ttransport http {\n\t\t\t\tmax_conns_per_host 256\n\t\t\t}\n\t\t}"

// stampede sends one request each for users while the issuer is held back,
// and lets it go when all of them are waiting.
func (s *stage) stampede(ctx context.Context, users []string) (samples []sample, gathered int, err error) {
	if err := s.tokenOutage(ctx, simulator.Outage{Hold: true}); err != nil {
		return nil, 0, err
	}
	samples, err = burst(ctx, s.servers[0].addr, users, func() error {
		var err error
		if gathered, err = s.servers[0].crowded(ctx, len(users), gathering); err != nil {
			return err
		}
		return s.tokenOutage(ctx, simulator.Outage{Delay: issuerTakes})
	})
	return samples, gathered, err
}

func (b *bench) stagedStampede() {
	b.report.staged(fmt.Sprintf("Stampedes: the clients are connected already (HTTP/2 without TLS, %d streams each); the issuer is held back until everybody waits, for %s at most, and then takes %d ms for each token. `max_conns_per_host 256` towards the platform: a kernel does not take ten thousand new connections at once from any proxy. One participant's stampede is of 500 requests: more of one person may not wait.", streams, gathering, issuerTakes))
}

// stampedeOne: everybody is the same participant, whom nobody knows yet.
func (b *bench) stampedeOne(ctx context.Context) error {
	b.stagedStampede()
	s, err := b.stage(ctx, play{people: 1, by: byID, proxy: fewConnections})
	if err != nil {
		return err
	}
	samples, gathered, err := s.stampede(ctx, slices.Repeat(s.users, onePersonsCrowd))
	if err != nil {
		return err
	}
	n, err := s.counts(ctx)
	if err != nil {
		return err
	}
	name := grouped(onePersonsCrowd) + " first requests of one participant"
	b.report.found(name, "requests that waited at the same moment", grouped(gathered))
	b.report.asked(name, "participant tokens minted", "1", grouped(n.ParticipantTokens), n.ParticipantTokens == 1)
	b.report.asked(name, "service tokens minted", "1", grouped(n.ServiceTokens), n.ServiceTokens == 1)
	b.reportFailed(name, samples)
	return nil
}

// stampedeMany: everybody is somebody else, and the session tells which
// participant they are.
func (b *bench) stampedeMany(ctx context.Context) error {
	return b.stampedeOf(ctx, grouped(crowd)+" participants at once", byID)
}

// stampedeLookup: as before, but who is which participant has to be looked up,
// which the platform allows 1 000 times an hour.
func (b *bench) stampedeLookup(ctx context.Context) error {
	return b.stampedeOf(ctx, grouped(crowd)+" participants at once, each to be looked up", byIdentifier)
}

func (b *bench) stampedeOf(ctx context.Context, name, by string) error {
	b.stagedStampede()
	s, err := b.stage(ctx, play{people: crowd, by: by, proxy: fewConnections, platform: map[string]any{"adminQuota": 1000}})
	if err != nil {
		return err
	}
	samples, gathered, err := s.stampede(ctx, s.users)
	if err != nil {
		return err
	}
	n, err := s.counts(ctx)
	if err != nil {
		return err
	}
	seen, err := s.watched(ctx)
	if err != nil {
		return err
	}
	b.report.found(name, "requests that waited at the same moment", grouped(gathered))
	b.report.asked(name, "participant tokens minted", grouped(crowd), grouped(n.ParticipantTokens), n.ParticipantTokens == crowd)
	b.report.asked(name, "service tokens minted", "1", grouped(n.ServiceTokens), n.ServiceTokens == 1)
	b.report.asked(name, "calls at the issuer at once, at most", fmt.Sprintf("≤ %d", turns), grouped(seen.Peak), seen.Peak <= turns)
	if by == byIdentifier {
		b.report.asked(name, "administrative calls", "≤ 1 000, the quota", fmt.Sprintf("%s (%s pages of the list)", grouped(n.Admin), grouped(n.ListPages)), n.Admin <= 1000 && n.Throttled == 0)
	}
	b.reportFailed(name, samples)
	return nil
}

// reportFailed adds the failed requests, and how long the slowest took.
func (b *bench) reportFailed(name string, samples []sample) {
	failed := count(samples, (*sample).failed)
	b.report.asked(name, "requests that failed", "0", failures(samples), failed == 0)
	b.report.found(name, "slowest answer", seconds(quantile(times(samples, every), 1)))
}

// failures counts the failed requests, by status.
func failures(samples []sample) string {
	byStatus := map[int]int{}
	for i := range samples {
		if samples[i].failed() {
			byStatus[samples[i].status]++
		}
	}
	if len(byStatus) == 0 {
		return "0"
	}
	var text strings.Builder
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		what := fmt.Sprintf("status %d", status)
		if status == 0 {
			what = "no answer"
		}
		fmt.Fprintf(&text, ", %s: %s", what, grouped(byStatus[status]))
	}
	return fmt.Sprintf("%s of %s%s", grouped(count(samples, (*sample).failed)), grouped(len(samples)), text.String())
}
