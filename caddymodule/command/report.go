// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Finding is a [delegation.Finding] as it is printed.
type Finding struct {
	Step    string `json:"step"`
	OK      bool   `json:"ok"`
	Skipped bool   `json:"skipped,omitempty"`
	Detail  string `json:"detail"`
}

// ConfigurationPart is the title of the part about what is around the providers.
const ConfigurationPart = "configuration"

// Part is what a report says of one thing, such as a provider.
type Part struct {
	Title    string
	OK       bool // nothing was found to be wrong
	Findings []Finding
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

// Begin begins a part.
func (r *Report) Begin(title string) {
	r.Parts = append(r.Parts, &Part{Title: title, OK: true, Findings: []Finding{}})
	if r.out != nil {
		fmt.Fprintln(r.out, title)
	}
}

// allOK tells whether no part has anything wrong.
func (r *Report) allOK() bool {
	return !slices.ContainsFunc(r.Parts, func(p *Part) bool { return !p.OK })
}

// Add adds a finding to the part that was begun last. What was not looked at makes
// nothing fail: it may be what the flags left out.
func (r *Report) Add(f delegation.Finding) {
	part := r.Parts[len(r.Parts)-1]
	part.OK = part.OK && (f.OK || f.Skipped)
	part.Findings = append(part.Findings, Finding{f.Step, f.OK, f.Skipped, f.Detail})
	if r.out == nil {
		return
	}
	mark, detail := "✗", f.Detail
	switch {
	case f.Skipped:
		mark, detail = "–", "not looked at: "+f.Detail
	case f.OK:
		mark = "✓"
	}
	fmt.Fprintf(r.out, "  %s %-18s %s\n", mark, f.Step, detail)
}
