// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// When an import stops by itself: another line would fare no better, and the vendor may
// count the failures.
const (
	maxSilent       = 5  // lines one after the other that the vendor does not answer
	maxRefusedFirst = 10 // lines that it refuses before it has accepted one
	maxThrottled    = 5  // times that it has one line wait
)

// The words for lines that do not come to an import.
const (
	importInvalid grants.ImportResult = "invalid"
	importValid   grants.ImportResult = "valid" // in a dry run
)

// importRun is one run of import. Lines are tried several at a time, and told in their
// order.
type importRun struct {
	target                *ImportTarget
	dryRun, again, asJSON bool
	concurrency           int
	out                   io.Writer

	counts           map[grants.ImportResult]int
	failed, left     int // lines that cannot be imported, and that are to be tried again
	silent, accepted int // lines without an answer one after the other; lines accepted
	refused          int
	last             int    // the line that was told last
	stopped          string // why it has stopped, and the mend; empty if it has not
}

// importedLine is what has become of a line.
type importedLine struct {
	number int
	result grants.ImportResult
	err    error
}

// each reads the lines, has them tried, and tells them. The error is of input or output.
func (r *importRun) each(ctx context.Context, in io.Reader) error {
	r.counts = make(map[grants.ImportResult]int)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// A line has its place in the queue before it is tried, and is told when it was. What
	// bounds the queue bounds how many are tried.
	queue := make(chan chan importedLine, r.concurrency-1)
	var read error
	background.Go("reading lines", func() {
		defer close(queue)
		read = background.Do("reading lines", func() error { return r.read(ctx, in, queue) })
	})
	var told error
	for line := range queue {
		done := <-line
		if told != nil {
			continue
		}
		if told = r.tell(done); told != nil || r.stopped != "" {
			stop()
		}
	}
	if told == nil && r.stopped == "" && errors.Is(read, context.Canceled) {
		r.stopped, read = "it was interrupted", nil
	}
	if errors.Is(read, context.Canceled) {
		read = nil // by what was told
	}
	return errors.Join(told, read)
}

// read begins a try of each line. An empty line is none.
func (r *importRun) read(ctx context.Context, in io.Reader, queue chan<- chan importedLine) error {
	lines := bufio.NewReader(in)
	for number := 1; ; number++ {
		text, err := nextImportLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("line %d cannot be read", number)
		case len(text) == 0:
			continue
		}
		place := make(chan importedLine, 1)
		select {
		case queue <- place:
		case <-ctx.Done():
			return ctx.Err()
		}
		if ctx.Err() != nil { // both were ready
			place <- importedLine{number, grants.ImportUntried, ctx.Err()}
			return ctx.Err()
		}
		i, err := parseImportLine(text)
		if err == nil {
			err = r.target.Consents.CheckImport(i)
		}
		switch {
		case err != nil:
			place <- importedLine{number, importInvalid, err}
		case r.dryRun:
			place <- importedLine{number, importValid, nil}
		default:
			background.Go("importing a line", func() {
				done := importedLine{number, grants.ImportUntried, errTryPanicked}
				defer func() { place <- done }()
				done = r.try(ctx, number, i)
			})
		}
	}
}

// errTryPanicked is what is told of a line whose import has panicked, which is logged.
var errTryPanicked = errors.New("a fault of this program; see its log")

// try imports a line. While the vendor has it wait, it does.
func (r *importRun) try(ctx context.Context, number int, i *delegation.GrantImport) importedLine {
	for throttled := 0; ; throttled++ {
		if ctx.Err() != nil {
			return importedLine{number, grants.ImportUntried, ctx.Err()}
		}
		result, err := r.target.Consents.Import(delegation.Detach(ctx), i, r.again) // what was begun is carried through
		if result == "" {
			result = grants.ImportUntried
		}
		refusal, isRefusal := errors.AsType[*delegation.Refusal](err)
		if result != grants.ImportUntried || !isRefusal || refusal.Code != delegation.IssuerThrottled || throttled >= maxThrottled {
			return importedLine{number, result, err}
		}
		select {
		case <-time.After(min(max(refusal.RetryAfter, time.Second), time.Minute)):
		case <-ctx.Done():
			return importedLine{number, result, err}
		}
	}
}

// tell prints what has become of a line, counts it, and sees whether to go on.
func (r *importRun) tell(line importedLine) error {
	r.last = line.number
	r.counts[line.result]++
	refusal, isRefusal := errors.AsType[*delegation.Refusal](line.err)
	switch line.result {
	case grants.Imported, grants.ImportedBefore, grants.ImportKept, importValid:
		if line.result == grants.Imported {
			r.accepted++
		}
		r.silent = 0
	case grants.ImportUntried, grants.ImportUncertain:
		r.left++
		r.silent++
		if isRefusal && (refusal.Code == delegation.CredentialsRejected || refusal.Code == delegation.ScopeRejected) {
			r.stopped = "the vendor does not accept the client or its request: correct the source's settings, and try them by `caddy delegate check`"
		} else if r.silent >= maxSilent {
			r.stopped = "neither vendor nor database gets any further: see that they answer"
		}
	default:
		r.failed++
		r.silent = 0
		if line.result == grants.ImportRefused {
			r.refused++
		}
		if r.refused >= maxRefusedFirst && r.accepted == 0 {
			r.stopped = fmt.Sprintf("the vendor has refused the first %d tokens: see that the source has the client that they were issued to; add --retry-refused for these", r.refused)
		}
	}
	return r.print(line)
}

func (r *importRun) print(line importedLine) error {
	reason := explainImport(line.err)
	if r.asJSON {
		return json.NewEncoder(r.out).Encode(struct {
			Line   int                 `json:"line"`
			Result grants.ImportResult `json:"result"`
			Reason string              `json:"reason,omitempty"`
		}{line.number, line.result, reason})
	}
	if reason != "" {
		reason = ": " + reason
	}
	_, err := fmt.Fprintf(r.out, "line %d: %s%s\n", line.number, line.result, reason)
	return err
}

// explainImport returns the texts of an error and those that it joins, on one line.
func explainImport(err error) string {
	if err == nil {
		return ""
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // no errors.As: a chain would hide the other errors
		var texts []string
		for _, e := range joined.Unwrap() {
			if !errors.Is(e, delegation.ErrNotSent) || errors.Unwrap(e) != nil {
				texts = append(texts, explainImport(e))
			}
		}
		return strings.Join(texts, "; ")
	}
	return strings.ReplaceAll(delegation.Explain(err), "\n", "; ")
}

// summarize prints how many lines there were of each result.
func (r *importRun) summarize() error {
	if r.asJSON {
		return nil
	}
	var parts []string
	for _, result := range slices.Sorted(maps.Keys(r.counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.counts[result], result))
	}
	if len(parts) == 0 {
		parts = []string{"there was no line"}
	}
	_, err := fmt.Fprintln(r.out, "in short: "+strings.Join(parts, ", "))
	return err
}
