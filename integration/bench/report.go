// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// report is what a run found.
type report struct {
	facts     []fact
	command   string
	micro     table
	contender table
	ratio     table
	scenario  table
	notes     []string // on the comparison
	staging   []string // of the scenarios
	faults    []string
}

func newReport(ctx context.Context, args []string) *report {
	command := "go run ./integration/bench " + strings.Join(args, " ")
	if len(args) == 0 {
		command = "make bench"
	}
	return &report{
		facts:     machine(ctx),
		command:   strings.TrimSpace(command),
		micro:     table{head: []string{"Package", "Benchmark", "Time", "Bytes", "Allocations"}},
		contender: table{head: []string{"Contender", "Requests/s", "Lowest – highest", "p50", "p99", "CPU per request", "Failed"}},
		ratio:     table{head: []string{"Requests/s of", "divided by those of", "Median", "95 % interval", "Lowest – highest", "To reach", "Reached", "CPU ratio"}},
		scenario:  table{head: []string{"Scenario", "Figure", "To reach", "Measured", "Reached"}},
	}
}

func (r *report) empty() bool {
	return len(r.micro.rows)+len(r.contender.rows)+len(r.scenario.rows)+len(r.faults) == 0
}

func (r *report) fault(part string, err error) {
	r.faults = append(r.faults, fmt.Sprintf("`%s`: %s", part, strings.ReplaceAll(err.Error(), "\n", " ")))
}

// found adds a figure that nothing was asked of.
func (r *report) found(scenario, figure, measured string) {
	r.scenario.add(scenario, figure, "", measured, "")
}

// asked adds a figure and whether it is what was asked.
func (r *report) asked(scenario, figure, toReach, measured string, reached bool) {
	r.scenario.add(scenario, figure, toReach, measured, yes(reached))
}

// staged tells how scenarios were set up, once.
func (r *report) staged(how string) {
	if !slices.Contains(r.staging, how) {
		r.staging = append(r.staging, how)
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "**no**"
}

// least are the ratios to reach.
var least = map[string]float64{stockName: 0.97, forwardAuthName: 1.5, connectBaseName: 0.95}

// compared adds what the comparison found.
func (r *report) compared(o options, all []*contender, others []float64) {
	for _, c := range all {
		failed := 0
		for _, round := range c.rounds {
			failed += round.failed
		}
		rates := c.of(round.rate)
		r.contender.add(c.name,
			fmt.Sprintf("%.0f", median(rates)), fmt.Sprintf("%.0f – %.0f", slices.Min(rates), slices.Max(rates)),
			seconds(median(c.of(func(r round) float64 { return r.p50 }))), seconds(median(c.of(func(r round) float64 { return r.p99 }))),
			seconds(median(c.of(round.cpuPerRequest))), grouped(failed))
	}
	for _, base := range all {
		for _, c := range all {
			if base.ours || !c.ours || base.name == beforeName(base.users) && base.users != c.users {
				continue
			}
			s := spreadOf(ratios(c.of(round.rate), base.of(round.rate)))
			toReach, reached := "", ""
			want := least[base.name]
			if c.least > 0 {
				want = c.least
			}
			if want > 0 {
				toReach, reached = fmt.Sprintf("≥ %.2f", want), yes(s.median >= want)
			}
			used := median(ratios(c.of(round.cpuPerRequest), base.of(round.cpuPerRequest)))
			r.ratio.add(c.name, base.name, decimals(s.median), decimals(s.low)+" – "+decimals(s.high),
				decimals(s.min)+" – "+decimals(s.max), toReach, reached, decimals(used))
		}
	}
	for _, note := range []string{
		fmt.Sprintf("%d pairs of %s for each contender, in slices of %s that take turns; %d connections; each sends its next request when the last is answered; 1 KB of JSON. No pair was left out.",
			o.pairs, o.duration, slice, connections),
		"Contender, load and upstream share the machine's cores, so throughput shows a difference smaller than it is; CPU per request is that of the contender's own processes (Caddy with its authenticator), without load and upstream.",
		"All Caddys have the same made-up session, which costs next to nothing. A fixed token cannot tell people apart; the authenticator and the hand-written proxy keep tokens in a map behind a mutex, and neither renews them ahead of time.",
		fmt.Sprintf("Other programs used %.0f %% of the machine's CPU time meanwhile (median; at most %.0f %% in a pair).", 100*median(others), 100*slices.Max(others)),
	} {
		if !slices.Contains(r.notes, note) { // of another comparison
			r.notes = append(r.notes, note)
		}
	}
}

func (r *report) String() string {
	var b strings.Builder
	b.WriteString("# What it costs and how it behaves\n\nMeasured by `" + r.command + "` on\n\n")
	for _, f := range r.facts {
		b.WriteString("- " + f.name + ": " + f.value + "\n")
	}
	if len(r.contender.rows) > 0 {
		b.WriteString("\n## Side by side\n\n" + r.contender.String() + "\n" + r.ratio.String() + "\n")
		for _, n := range r.notes {
			b.WriteString("- " + n + "\n")
		}
	}
	if len(r.scenario.rows) > 0 {
		b.WriteString("\n## Scenarios\n\n" + r.scenario.String() + "\n")
		for _, n := range r.staging {
			b.WriteString("- " + n + "\n")
		}
	}
	if len(r.micro.rows) > 0 {
		b.WriteString("\n## Micro-benchmarks\n\n" + r.micro.String())
	}
	if len(r.faults) > 0 {
		b.WriteString("\n## Not measured\n\n")
		for _, f := range r.faults {
			b.WriteString("- " + f + "\n")
		}
	}
	return b.String()
}
