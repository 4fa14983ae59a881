// SPDX-License-Identifier: Apache-2.0

// Command bench measures what this project promises: what the module costs
// beside stock Caddy, forward_auth and a hand-written proxy, and how it behaves
// in stampedes, at expiry, and while an issuer or a Redis is down. It prints a
// table and writes it to a file. Run it with -h to see how.
//
// Every contender, the platform and the load are processes of their own on
// this machine's loopback; nothing outlives the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	// Children die with the thread that started them.
	runtime.LockOSThread()
	if len(os.Args) > 2 && os.Args[1] == "role" {
		exit(perform(os.Args[2], os.Args[3:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func exit(err error) {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errUsage is a bad command line, which has been reported already.
var errUsage = errors.New("usage")

// defaultOut is where a whole run leaves its table.
const defaultOut = "integration/bench/RESULTS.md"

// options are the command line.
type options struct {
	only     *regexp.Regexp
	pairs    int
	duration time.Duration
	people   int           // in the scenarios of sources
	rounds   int           // of kills
	outage   time.Duration // of vendors
	before   string        // an earlier build of this program; empty: none
	out      string        // empty: print only
}

func parseFlags(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.people, "people", crowd, "`number` of people in the scenarios of sources")
	flags.IntVar(&o.rounds, "rounds", 200, "`number` of times a Caddy is killed during a refresh, for each kind of vendor")
	flags.DurationVar(&o.outage, "outage", 10*time.Minute, "`time` for which vendors fail")
	only := flags.String("only", "", "run the parts whose name matches this `expression`: "+strings.Join(partNames(), ", "))
	flags.IntVar(&o.pairs, "pairs", 7, "`number` of times the contenders are compared")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "`time` each contender is measured in each comparison")
	flags.StringVar(&o.before, "before", "", "compare with an earlier build of this `program` and nothing else: built by go build -o bench-before ./integration/bench at that commit; goes with -only compare")
	flags.StringVar(&o.out, "out", "", "`file` for the table; default: "+defaultOut+", or none with -only")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag: run bench -h to see them", flags.Arg(0))
	case o.pairs < 1 || o.duration < slice:
		return o, fmt.Errorf("-pairs is at least 1, -duration at least %s", slice)
	case o.people < 100 || o.rounds < 1 || o.outage <= 0:
		return o, errors.New("-people is at least 100, -rounds at least 1, -outage more than nothing")
	}
	if *only == "" && o.out == "" {
		o.out = defaultOut
	}
	return o, nil
}

// bench is one run.
type bench struct {
	options
	dir       string // for files of this run
	stdout    io.Writer
	report    *report
	processes []*process
	ends      []func() // of what is no process of ours
}

// part is a piece of a run that can be chosen by its name.
type part struct {
	name string
	run  func(*bench, context.Context) error
}

var parts = []part{
	{"micro", (*bench).micro},
	{"compare", (*bench).compare},
	{"compare-connect", (*bench).compareConnect},
	{"stampede-one", (*bench).stampedeOne},
	{"stampede-many", (*bench).stampedeMany},
	{"stampede-lookup", (*bench).stampedeLookup},
	{"expiry", (*bench).expiry},
	{"issuer-503", (*bench).issuer503},
	{"issuer-down", (*bench).issuerDown},
	{"revoked", (*bench).revoked},
	{"forged", (*bench).forged},
	{"memory", (*bench).memory},
	{"replicas", (*bench).replicas},
	{"redis-killed", (*bench).replicasAlone},
	{"compare-sources", (*bench).compareSources},
	{"source-refresh", (*bench).sourceRefresh},
	{"source-killed", (*bench).sourceKilled},
	{"source-code", (*bench).sourceCode},
	{"source-storm", (*bench).sourceStorm},
	{"source-crowd", (*bench).sourceCrowd},
	{"source-memory", (*bench).sourceMemory},
	{"source-failures", (*bench).sourceFailures},
}

func partNames() []string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return names
}

// run runs the chosen parts. One that fails is reported and does not stop the
// others.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if err := checkOpenFiles(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "caddy-delegate-bench-")
	if err != nil {
		return fmt.Errorf("making a folder for the run: %w", err)
	}
	b := &bench{options: o, dir: dir, stdout: stdout, report: newReport(ctx, args)}
	defer func() {
		b.stopAll() // also while a panic passes through
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	var failed []error
	for _, p := range parts {
		if !o.only.MatchString(p.name) {
			continue
		}
		fmt.Fprintf(stdout, "\n== %s\n", p.name)
		begun := time.Now()
		if err := p.run(b, ctx); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted: nothing was written")
			}
			failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
			b.report.fault(p.name, err)
			fmt.Fprintf(stdout, "failed: %v\n", err)
		}
		b.stopAll()
		fmt.Fprintf(stdout, "(%s in %.1f s)\n", p.name, time.Since(begun).Seconds())
	}
	if len(failed) == 0 && b.report.empty() {
		return fmt.Errorf("-only %s matches none of %s", o.only, strings.Join(partNames(), ", "))
	}
	fmt.Fprintf(stdout, "\n%s", b.report)
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(b.report.String()), 0o644); err != nil {
			failed = append(failed, fmt.Errorf("writing the table: %w", err))
		}
	}
	return errors.Join(failed...)
}
