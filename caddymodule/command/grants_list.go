// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// grantFilter is whose grants are wanted; what is empty is all.
type grantFilter struct {
	provider, source, state string
	realm, subject          string
}

func (f *grantFilter) covers(g *grants.Grant) bool {
	return (f.provider == "" || f.provider == g.Provider) && (f.source == "" || f.source == g.Source) && (f.state == "" || f.state == string(g.State)) &&
		(f.realm == "" || f.realm == g.Realm) && (f.subject == "" || f.subject == g.Subject)
}

// shownGrant is what is told of a grant.
type shownGrant struct {
	ID       string       `json:"id"`
	Provider string       `json:"provider"`
	Source   string       `json:"source,omitempty"`
	State    grants.State `json:"state"`
	Realm    string       `json:"realm"`
	Subject  string       `json:"subject"`
	Slot     string       `json:"slot,omitempty"`
	Account  string       `json:"account"`
	Label    string       `json:"label,omitempty"`  // how the account is shown to its owner
	Scopes   []string     `json:"scopes,omitempty"` // that were granted, if the platform says
	Created  time.Time    `json:"created"`
	Changed  time.Time    `json:"changed"`
	LastUsed *time.Time   `json:"last_used,omitempty"` // to an hour

	// Unconfigured says that the configuration has no provider, or no source of it,
	// of this name: nobody can use the grant.
	Unconfigured bool `json:"unconfigured,omitempty"`
}

func (c *grantsConfig) show(g *grants.Grant) shownGrant {
	shown := shownGrant{
		g.ID, g.Provider, g.Source, g.State, g.Realm, g.Subject, g.Slot, g.Account, g.Label, g.Scopes, g.Created.UTC(), g.Changed.UTC(), nil,
		!c.configured(g.Owner),
	}
	if !g.LastUsed.IsZero() {
		used := g.LastUsed.UTC()
		shown.LastUsed = &used
	}
	return shown
}

func (c *grantsConfig) listCommand() *cobra.Command {
	var filter grantFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the grants, the oldest first",
		Long: `
Lists whose accounts at which platform are connected. The states are

  active     it is used
  suspended  the platform did not accept it any more; its owner can consent again
  conflict   its account belongs to somebody else's grant: decide whose it is,
             with release and move
  retired    it was released, or another one took its place

PROVIDER is followed by the source, as in study/withings, for a provider with
several. USED is when a request last used it, to an hour. Where the configuration has no provider of that name, its grants are marked, and
nobody can use them; see rename. It warns if some are sealed by an older key; see
reseal.`,
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.provider, "provider", "", "Those of this provider alone")
	flags.StringVar(&filter.source, "source", "", "Those of this source of a provider alone")
	flags.StringVar(&filter.state, "state", "", "Those in this state alone: active, suspended, conflict or retired")
	flags.BoolVar(&asJSON, "json", false, "Print a JSON array")
	runGrants(cmd, 0, func(ctx context.Context, _ string) error {
		states := []grants.State{grants.Active, grants.Suspended, grants.Conflict, grants.Retired}
		if filter.state != "" && !slices.Contains(states, grants.State(filter.state)) {
			return fmt.Errorf("--state %q: a grant is active, suspended, conflict or retired", filter.state)
		}
		return c.with(ctx, func(s *grants.Store) error {
			list := c.listGrants
			if asJSON {
				list = c.listJSON
			}
			if err := list(ctx, s, &filter, cmd.OutOrStdout()); err != nil {
				return explainStoreError(err, "")
			}
			n, err := s.CountOutdated(ctx)
			if err != nil {
				return explainStoreError(err, "")
			}
			if n > 0 {
				_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %d grants and journeys are sealed by an older key. Before the keyset is rotated again, run: caddy delegate grants reseal\n", n)
			}
			return err
		})
	})
	return cmd
}

// eachGrant tells those that the filter covers.
func eachGrant(ctx context.Context, s *grants.Store, filter *grantFilter, tell func(*grants.Grant) error) (n int, err error) {
	err = s.ForEach(ctx, func(g *grants.Grant) error {
		if !filter.covers(g) {
			return nil
		}
		n++
		return tell(g)
	})
	return n, mendRow(err)
}

const listLine = "%-26s  %-20s  %-9s  %-20s  %-20s  %-20s  %-10s  %-24s  %s\n"

func (c *grantsConfig) listGrants(ctx context.Context, s *grants.Store, filter *grantFilter, out io.Writer) error {
	begun := false
	left := make(map[grants.Owner]int)
	n, err := eachGrant(ctx, s, filter, func(g *grants.Grant) error {
		if !begun {
			begun = true
			if _, err := fmt.Fprintf(out, listLine, "ID", "PROVIDER", "STATE", "CREATED", "CHANGED", "USED", "REALM", "SUBJECT", "ACCOUNT"); err != nil {
				return err
			}
		}
		provider := placeName(g.Owner)
		if !c.configured(g.Owner) {
			left[c.missing(g.Owner)]++
			provider += " !"
		}
		used := "-"
		if !g.LastUsed.IsZero() {
			used = g.LastUsed.UTC().Format(time.RFC3339)
		}
		_, err := fmt.Fprintf(out, listLine, g.ID, provider, g.State, g.Created.UTC().Format(time.RFC3339), g.Changed.UTC().Format(time.RFC3339), used,
			QuoteForTerminal(g.Realm), QuoteForTerminal(g.Subject), QuoteForTerminal(g.Account))
		return err
	})
	if err == nil && n == 0 {
		_, err = fmt.Fprintln(out, "There is no such grant.")
	}
	for _, o := range slices.SortedFunc(maps.Keys(left), func(a, b grants.Owner) int { return cmp.Compare(placeName(a), placeName(b)) }) {
		if err == nil {
			_, err = fmt.Fprintf(out, "! %d of %s, which is not configured: nobody can use them. If it was renamed: caddy delegate grants rename %s <new>\n", left[o], missingName(o), renameArguments(o))
		}
	}
	return err
}

// listJSON prints an array, a line for each: there may be a million.
func (c *grantsConfig) listJSON(ctx context.Context, s *grants.Store, filter *grantFilter, out io.Writer) error {
	before := "[\n"
	n, err := eachGrant(ctx, s, filter, func(g *grants.Grant) error {
		text, err := json.Marshal(c.show(g))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s%s", before, text)
		before = ",\n"
		return err
	})
	if err != nil {
		return err
	}
	end := "\n]\n"
	if n == 0 {
		end = "[]\n"
	}
	_, err = io.WriteString(out, end)
	return err
}

func (c *grantsConfig) exportCommand() *cobra.Command {
	var filter grantFilter
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Writes what is kept of a person, without the secrets",
		Long: `
Writes one line of JSON for each grant: for somebody who asks what is kept of
them, or for your own records. It holds whose grant it is, which account at the
platform, its state, what was consented to, and when it was made, changed and used. Without --subject it
writes everybody's.`,
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.subject, "subject", "", "Those of this user of the app alone, as its sessions name them")
	flags.StringVar(&filter.realm, "realm", "", "Those of this realm alone")
	flags.StringVar(&filter.provider, "provider", "", "Those of this provider alone")
	flags.StringVar(&filter.source, "source", "", "Those of this source of a provider alone")
	runGrants(cmd, 0, func(ctx context.Context, _ string) error {
		return c.with(ctx, func(s *grants.Store) error {
			line := json.NewEncoder(cmd.OutOrStdout())
			n, err := eachGrant(ctx, s, &filter, func(g *grants.Grant) error { return line.Encode(c.show(g)) })
			if err != nil {
				return explainStoreError(err, "")
			}
			if n == 0 && filter.subject != "" {
				// To be told from a name that is misspelt, which looks the same.
				_, err = fmt.Fprintln(cmd.ErrOrStderr(), "Nothing is kept of that user. Names are compared letter by letter, and belong to a realm: `caddy delegate grants list` tells which there are.")
				return err
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Exported %d grants.\n", n)
			return err
		})
	})
	return cmd
}

func (c *grantsConfig) decisionsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "decisions",
		Short: "Lists what operators have decided, the oldest first",
		Long: `
Lists what was released, moved, deleted or sealed anew by these commands: when,
which grant, and by which account on the machine. It names no user of the app.`,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print a line of JSON for each")
	runGrants(cmd, 0, func(ctx context.Context, _ string) error {
		return c.with(ctx, func(s *grants.Store) error {
			line, n := json.NewEncoder(cmd.OutOrStdout()), 0
			err := s.Decisions(ctx, func(d grants.Decision) error {
				n++
				if asJSON {
					return line.Encode(struct {
						At     time.Time `json:"at"`
						Action string    `json:"action"`
						Grant  string    `json:"grant,omitempty"`
						By     string    `json:"by"`
					}{d.At.UTC(), d.Action, d.Grant, d.By})
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  %-7s  %-26s  %s\n", d.At.UTC().Format(time.RFC3339), d.Action, d.Grant, QuoteForTerminal(d.By))
				return err
			})
			if err == nil && n == 0 && !asJSON {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "Nothing was decided yet.")
			}
			return explainStoreError(err, "")
		})
	})
	return cmd
}

// QuoteForTerminal quotes what could steer a terminal or pass for another column.
func QuoteForTerminal(s string) string {
	if s == "" || strings.Contains(s, "  ") || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
