// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"strconv"
	"strings"
)

// microPackages are those whose Go benchmarks belong in the table.
var microPackages = []string{"./caddymodule", "./caddymodule/tokens", "./caddymodule/policy", "./caddymodule/headers", "./caddymodule/session"}

// microRuns is how often each benchmark runs. The table has the medians.
const microRuns = 5

// The two sides of the warm path: handler and transport, once those of this
// module, once a handler that does nothing and Caddy's own transport.
const (
	warmOurs  = "caddymodule WarmPath/delegate"
	warmStock = "caddymodule WarmPath/stock"
)

// What handler and transport of this module may cost beyond the others.
const (
	mostTime        = 3000 // ns
	mostAllocations = 14
)

// micro runs the Go benchmarks.
func (b *bench) micro(ctx context.Context) error {
	var printed []byte
	var failed []error
	for _, pkg := range microPackages {
		args := []string{"test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", "300ms", "-count", strconv.Itoa(microRuns), pkg}
		out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
		printed = append(printed, out...)
		if err != nil {
			failed = append(failed, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, unusual(out)))
		}
	}
	b.report.benchmarks(printed)
	return errors.Join(failed...)
}

// unusual is what a failed go test says besides its benchmarks.
func unusual(out []byte) string {
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "Benchmark") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[:min(len(lines), 10)], "; ")
}

// figures are what one benchmark printed in its runs, by unit.
type figures map[string][]float64

func (f figures) median(unit string) float64 { return median(f[unit]) }

// readBenchmarks reads what go test -bench prints. The names are package and
// benchmark, in the order of their appearance.
func readBenchmarks(out []byte) (names []string, all map[string]figures) {
	all = make(map[string]figures)
	pkg := ""
	for in := bufio.NewScanner(bytes.NewReader(out)); in.Scan(); {
		fields := strings.Fields(in.Text())
		switch {
		case len(fields) == 2 && fields[0] == "pkg:":
			pkg = path.Base(fields[1])
		case len(fields) >= 4 && strings.HasPrefix(fields[0], "Benchmark"):
			name := strings.TrimPrefix(fields[0], "Benchmark")
			if i := strings.LastIndexByte(name, '-'); i > 0 {
				name = name[:i] // the number of CPUs
			}
			name = pkg + " " + name
			if all[name] == nil {
				all[name] = make(figures)
				names = append(names, name)
			}
			for i := 2; i+1 < len(fields); i += 2 {
				if figure, err := strconv.ParseFloat(fields[i], 64); err == nil {
					all[name][fields[i+1]] = append(all[name][fields[i+1]], figure)
				}
			}
		}
	}
	return names, all
}

// benchmarks takes over what go test -bench printed.
func (r *report) benchmarks(out []byte) {
	names, all := readBenchmarks(out)
	for _, name := range names {
		pkg, benchmark, _ := strings.Cut(name, " ")
		f := all[name]
		r.micro.add(pkg, benchmark, fmt.Sprintf("%.0f ns", f.median("ns/op")), fmt.Sprintf("%.0f", f.median("B/op")), fmt.Sprintf("%.0f", f.median("allocs/op")))
	}
	ours, stock := all[warmOurs], all[warmStock]
	if ours == nil || stock == nil {
		return
	}
	const scenario = "warm path, handler and transport, beyond stock ones"
	time := spreadOf(differences(ours["ns/op"], stock["ns/op"]))
	r.asked(scenario, fmt.Sprintf("time (median of %d runs; lowest – highest)", microRuns), "≤ "+seconds(mostTime*1e-9),
		fmt.Sprintf("%.2f µs (%.2f – %.2f)", time.median/1000, time.min/1000, time.max/1000), time.median <= mostTime)
	allocations := ours.median("allocs/op") - stock.median("allocs/op")
	r.asked(scenario, "allocations", fmt.Sprintf("≤ %d", mostAllocations), fmt.Sprintf("%.0f", allocations), allocations <= mostAllocations)
}
