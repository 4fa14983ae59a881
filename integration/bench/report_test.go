// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// oneRound is a contender that answers so many requests in a second.
func oneRound(name string, ours bool, rates ...int) *contender {
	c := &contender{name: name, ours: ours}
	for _, n := range rates {
		c.rounds = append(c.rounds, round{requests: n, measured: time.Second, cpu: time.Second / 2, p50: 0.001, p99: 0.002})
	}
	return c
}

// TestVerdicts protects against a missed target that looks reached, and the
// other way round: each ratio is compared with what is asked of it.
func TestVerdicts(t *testing.T) {
	r := newReport(t.Context(), nil)
	r.compared(options{pairs: 2, duration: time.Second}, []*contender{
		oneRound(stockName, false, 1000, 1000), oneRound(forwardAuthName, false, 600, 600), oneRound(handwrittenName, false, 2000, 2000),
		oneRound("fast", true, 980, 990), oneRound("slow", true, 960, 850),
	}, []float64{0.1, 0.3})
	text := r.String()
	for _, want := range [][]string{
		{"| fast", stockName, "0.985", "yes"},
		{"| slow", stockName, "0.905", "**no**"},
		{"| fast", forwardAuthName, "1.642", "yes"},
		{"| slow", forwardAuthName, "1.508", "yes"},
		{"| slow", handwrittenName, "0.453"},
	} {
		if !hasLine(text, want) {
			t.Errorf("no line with %q in\n%s", want, text)
		}
	}
	if !strings.Contains(text, "used 20 % of the machine's CPU time meanwhile (median; at most 30 % in a pair)") {
		t.Errorf("the noise is not told in\n%s", text)
	}
}

// hasLine tells whether a line begins with the first part and has the others.
func hasLine(text string, parts []string) bool {
	for line := range strings.Lines(text) {
		ok := strings.HasPrefix(line, parts[0])
		for _, part := range parts[1:] {
			ok = ok && strings.Contains(line, part)
		}
		if ok {
			return true
		}
	}
	return false
}

// TestFaultsShow protects against a part that failed and is just not there.
func TestFaultsShow(t *testing.T) {
	r := newReport(t.Context(), []string{"-only", "x"})
	if !r.empty() {
		t.Error("a new report is not empty")
	}
	r.fault("expiry", errors.New("no token\nwas renewed"))
	r.asked("s", "f", "0", "3", false)
	text := r.String()
	for _, want := range []string{"## Not measured\n\n- `expiry`: no token was renewed\n", "| s        | f      | 0        | 3        | **no**  |", "`go run ./integration/bench -only x`"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if r.empty() {
		t.Error("a report with a fault is empty")
	}
}

// TestBenchmarkLines protects the micro-benchmarks' table: figures are found
// by their unit, also with others in between, and runs are brought together.
func TestBenchmarkLines(t *testing.T) {
	r := newReport(t.Context(), nil)
	r.benchmarks([]byte("goos: linux\npkg: example.org/x/policy\n" +
		"BenchmarkMatch/long-path-2   \t  100\t 250.5 ns/op\t 3.00 rules/op\t  16 B/op\t  1 allocs/op\n" +
		"BenchmarkMatch/long-path-2   \t  100\t 350.5 ns/op\t 3.00 rules/op\t  16 B/op\t  1 allocs/op\nPASS\n" +
		"pkg: example.org/caddymodule\n" +
		"BenchmarkWarmPath/stock-2  \t  100\t 1000 ns/op\t  0 B/op\t  4 allocs/op\n" +
		"BenchmarkWarmPath/delegate-2  \t  100\t 3900 ns/op\t  0 B/op\t  19 allocs/op\n"))
	if len(r.micro.rows) != 3 || strings.Join(r.micro.rows[0], "|") != "policy|Match/long-path|300 ns|16|1" {
		t.Errorf("%q", r.micro.rows)
	}
	for _, want := range []string{"2.90 µs (2.90 – 2.90) | yes", "| 15 | **no**"} {
		found := false
		for _, row := range r.scenario.rows {
			found = found || strings.Contains("| "+strings.Join(row, " | "), want)
		}
		if !found {
			t.Errorf("%q is not in %q", want, r.scenario.rows)
		}
	}
}

// TestNumbers protects the reader's eye.
func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1 000", 1234567: "1 234 567", -1000: "-1 000", -100: "-100"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for s, want := range map[float64]string{0.0000034: "3 µs", 0.0125: "12.5 ms", 1.5: "1.50 s"} {
		if got := seconds(s); got != want {
			t.Errorf("%v is %q, want %q", s, got, want)
		}
	}
	if counted(1, "participant") != "1 participant" || counted(2, "participant") != "2 participants" {
		t.Error("the plural is wrong")
	}
}
