// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// found is a finding as it is printed.
type found struct {
	Step    string `json:"step"`
	OK      bool   `json:"ok"`
	Skipped bool   `json:"skipped,omitempty"`
	Detail  string `json:"detail"`
}

// report prints findings as they come, or all of them as JSON at the end.
type report struct {
	out  io.Writer // nil: JSON
	ok   bool
	list []found // of the part that is being looked at
}

// begin begins a part, such as a provider.
func (r *report) begin(title string) {
	r.list = nil
	if r.out != nil {
		fmt.Fprintln(r.out, title)
	}
}

// tell notes one finding. What was not looked at makes nothing fail: it may be
// what the flags left out.
func (r *report) tell(f delegation.Finding) {
	r.ok = r.ok && (f.OK || f.Skipped)
	r.list = append(r.list, found{f.Step, f.OK, f.Skipped, f.Detail})
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

// configurationPart is the title of what is around the providers.
const configurationPart = "configuration"

// run checks, prints, and tells whether all is well.
func (c *check) run(ctx context.Context, out io.Writer) (ok bool, err error) {
	l, err := load(c.config, c.adapter)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, l.app.Cleanup()) }()
	names := slices.Sorted(maps.Keys(l.app.providers))
	if c.provider != "" {
		if !slices.Contains(names, c.provider) {
			return false, fmt.Errorf("there is no provider %q: name one of %s", c.provider, strings.Join(names, ", "))
		}
		names = []string{c.provider}
	}
	r := &report{ok: true}
	if !c.json {
		r.out = out
	}
	providers := make(map[string][]found)
	for _, name := range names {
		r.begin(name)
		c.try(ctx, l.app.providers[name], l.policies[name], r.tell)
		providers[name] = r.list
	}
	r.begin(configurationPart)
	l.look(ctx, c.provider, r.tell)
	if c.json {
		err = json.NewEncoder(out).Encode(map[string]any{"ok": r.ok, "providers": providers, configurationPart: r.list})
	}
	return r.ok, err
}
