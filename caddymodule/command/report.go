// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// PrintedFinding is a [delegation.Finding] as it is printed.
type PrintedFinding struct {
	Step    string `json:"step"`
	OK      bool   `json:"ok"`
	Skipped bool   `json:"skipped,omitempty"`
	Warning bool   `json:"warning,omitempty"`
	Detail  string `json:"detail"`
}

// ConfigurationPart is the title of the part about what is around the providers.
const ConfigurationPart = "configuration"

// Part is what a report says of one thing, such as a provider.
type Part struct {
	Title    string
	OK       bool // nothing was found to be wrong
	Provider bool // it is about the provider of that name
	Findings []PrintedFinding
}

// Report prints findings as they come, and keeps them for who prints JSON.
type Report struct {
	out   io.Writer // nil: JSON, which is printed at the end
	Parts []*Part
}

func newReport(out io.Writer, asJSON bool) *Report {
	if asJSON {
		return new(Report)
	}
	return &Report{out: out}
}

// BeginProvider begins a part about a provider.
func (r *Report) BeginProvider(name string) {
	r.Begin(name)
	r.Parts[len(r.Parts)-1].Provider = true
}

// Begin begins a part.
func (r *Report) Begin(title string) {
	r.Parts = append(r.Parts, &Part{Title: title, OK: true, Findings: []PrintedFinding{}})
	if r.out != nil {
		fmt.Fprintln(r.out, title)
	}
}

// allOK tells whether no part has anything wrong.
func (r *Report) allOK() bool {
	return !slices.ContainsFunc(r.Parts, func(p *Part) bool { return !p.OK })
}

// Add adds a finding to the part that was begun last. What was not looked at makes
// nothing fail: it may be what the flags left out. Nor does a warning.
func (r *Report) Add(f delegation.Finding) {
	part := r.Parts[len(r.Parts)-1]
	part.OK = part.OK && (f.OK || f.Skipped)
	found := PrintedFinding{f.Step, f.OK, f.Skipped, f.Warning, f.Detail}
	part.Findings = append(part.Findings, found)
	found.print(r.out)
}

// Summarize prints what is wrong, and what may be, once more: at the end, where an
// operator's eye is.
func (r *Report) Summarize() {
	if r.out == nil {
		return
	}
	begun := false
	for _, part := range r.Parts {
		for _, f := range part.Findings {
			if f.Skipped || f.OK && !f.Warning {
				continue
			}
			if !begun {
				begun = true
				fmt.Fprintln(r.out, "in short")
			}
			f.print(r.out)
		}
	}
}

// print prints the finding on a line. out may be nil.
func (f *PrintedFinding) print(out io.Writer) {
	if out == nil {
		return
	}
	mark, detail := "✗", f.Detail
	switch {
	case f.Skipped:
		mark, detail = "–", "not looked at: "+f.Detail
	case f.OK && f.Warning:
		mark = "!"
	case f.OK:
		mark = "✓"
	}
	fmt.Fprintf(out, "  %s %-18s %s\n", mark, f.Step, detail)
}
