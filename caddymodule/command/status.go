// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/status"
)

func statusCommand() *cobra.Command {
	var (
		endpoint       adminEndpoint
		asJSON, strict bool
	)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tells the state of a running Caddy, and what to do next",
		Long: `
Asks a running Caddy for the state of its providers and their token endpoints, of
Redis, the database of the grants, the files of keys and secrets, and the sites'
certificates. What works is marked ✓, what does not ✗; the latter is said once
more at the end, with since when and what to do next. Nobody is named.

It ends with code 0 if Caddy answers, also while something else is down: as the
health check of a container it has those started anew that a new start can mend.
With --strict it ends with code 0 only if nothing has a ✗.`,
		Args: cobra.NoArgs,
	}
	endpoint.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print JSON")
	cmd.Flags().BoolVar(&strict, "strict", false, "End with code 1 if anything does not work")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		if err := printStatus(&endpoint, asJSON, strict, cmd.OutOrStdout()); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// printStatus asks and prints. The error is that nobody answers, or with strict that
// something does not work.
func printStatus(endpoint *adminEndpoint, asJSON, strict bool, out io.Writer) error {
	var raw json.RawMessage
	if err := endpoint.get("/delegate/status", &raw); err != nil {
		return err
	}
	var s status.Status
	if err := json.Unmarshal(raw, &s); err != nil || s.Degraded == nil {
		return errors.New("what answers is a Caddy of another version: use the command of the binary that runs")
	}
	if asJSON {
		fmt.Fprintln(out, string(raw)) // as it is, with what a newer Caddy may add
	} else {
		(&statusPrinter{&s, out, time.Now()}).print()
	}
	if strict && len(s.Degraded) > 0 {
		return fmt.Errorf("%d things do not work as they should: see where it says ✗, or degraded", len(s.Degraded))
	}
	return nil
}

// statusPrinter prints a status for people.
type statusPrinter struct {
	*status.Status
	out io.Writer
	now time.Time
}

func (p *statusPrinter) print() {
	for _, name := range slices.Sorted(maps.Keys(p.Providers)) {
		provider := p.Providers[name]
		p.title(name)
		p.line(name, status.StepIssuer, engineLine(&provider.Engine))
		for _, source := range slices.Sorted(maps.Keys(provider.Sources)) {
			engine := provider.Sources[source]
			p.lineAs(source, name+"/"+source, status.StepIssuer, engineLine(&engine))
		}
		p.line(name, status.StepRequests, refusedLine(&provider.Refusals))
		if provider.Shared != nil {
			p.line(name, status.StepRedis, "in use")
		}
	}
	if p.Sessions != nil {
		p.title(status.PartSessions)
		p.line(status.PartSessions, status.StepRequests, refusedLine(p.Sessions))
	}
	if p.Grants != nil {
		p.title(status.PartGrants)
		p.line(status.PartGrants, status.StepDatabase, p.Grants.Kind)
		for _, c := range p.Grants.Counts {
			p.lineAs(c.Provider, "", "", strings.TrimPrefix(fmt.Sprintf("%s %d %s", c.Source, c.Grants, c.State), " "))
		}
	}
	if len(p.Files) > 0 {
		p.title(status.PartFiles)
	}
	for _, f := range p.Files {
		detail := fmt.Sprintf("%s, changed %s ago", f.File, days(p.now.Sub(f.Changed)))
		if !f.Ends.IsZero() {
			detail += ", ends in " + days(f.Ends.Sub(p.now))
		}
		p.line(status.PartFiles, f.Setting, detail)
	}
	if len(p.Certificates) > 0 {
		p.title(status.PartCertificates)
	}
	for _, c := range p.Certificates {
		p.line(status.PartCertificates, c.Host, "ends in "+days(c.Ends.Sub(p.now)))
	}
	p.printDegraded()
}

// printDegraded prints what does not work at the end, where an operator's eye is.
func (p *statusPrinter) printDegraded() {
	if len(p.Degraded) == 0 {
		fmt.Fprintln(p.out, "all is well")
		return
	}
	fmt.Fprintln(p.out, "to do")
	for _, d := range p.Degraded {
		fmt.Fprintf(p.out, "  ✗ %s, %s: %s%s\n    %s\n", QuoteForTerminal(d.Part), QuoteForTerminal(d.Step), QuoteForTerminal(d.Cause), p.since(&d), QuoteForTerminal(d.Action))
	}
}

func (p *statusPrinter) title(text string) { fmt.Fprintln(p.out, QuoteForTerminal(text)) }

// line prints a step of a part: as it is if it works, with the cause if it does
// not.
func (p *statusPrinter) line(part, step, works string) { p.lineAs(step, part, step, works) }

// lineAs is [statusPrinter.line] with another name for the step.
func (p *statusPrinter) lineAs(name, part, step, works string) {
	broken := false
	for _, d := range p.Degraded {
		if d.Part == part && d.Step == step {
			broken = true
			fmt.Fprintf(p.out, "  ✗ %-18s %s%s\n", QuoteForTerminal(name), QuoteForTerminal(d.Cause), p.since(&d))
		}
	}
	if !broken {
		fmt.Fprintf(p.out, "  ✓ %-18s %s\n", QuoteForTerminal(name), QuoteForTerminal(works))
	}
}

// since is when something was noticed, and how long ago.
func (p *statusPrinter) since(d *status.Degradation) string {
	if d.Since.IsZero() {
		return ""
	}
	return fmt.Sprintf(", since %s (%s)", d.Since.Format(time.RFC3339), p.now.Sub(d.Since).Round(time.Second))
}

func engineLine(e *status.Engine) string {
	return fmt.Sprintf("%s; %d tokens in memory, %d failures remembered, %d requests wait", e.Issuer.State, e.Entries, e.Remembered, e.Waiting)
}

// refusedLine tells refusals by code, the most frequent first.
func refusedLine(r *status.Refusals) string {
	if len(r.Refused) == 0 {
		return "none refused in the last ten minutes"
	}
	codes, total := slices.Collect(maps.Keys(r.Refused)), 0
	slices.SortFunc(codes, func(a, b delegation.Code) int { return cmp.Or(r.Refused[b]-r.Refused[a], cmp.Compare(a, b)) })
	var parts []string
	for _, code := range codes {
		total += r.Refused[code]
		parts = append(parts, fmt.Sprintf("%s %d", code, r.Refused[code]))
	}
	return fmt.Sprintf("%d refused in the last ten minutes: %s", total, strings.Join(parts, ", "))
}

// days is a time as operators speak of it: in days, or in hours below two.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
