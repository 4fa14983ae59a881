// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// shownRevocation is what is told of a consent that has ended here, and of which the
// vendor was not told yet.
type shownRevocation struct {
	ID       string    `json:"id"` // that the grant had
	Provider string    `json:"provider"`
	Source   string    `json:"source,omitempty"`
	Realm    string    `json:"realm"`
	Subject  string    `json:"subject"`
	Account  string    `json:"account"`
	Label    string    `json:"label,omitempty"`
	Attempts int       `json:"attempts"`
	Created  time.Time `json:"created"`
	Next     time.Time `json:"next"`
}

func (c *grantsConfig) revocationsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revocations",
		Short: "Lists what vendors were not told of yet",
		Long: `
Lists the consents that have ended here, because a user left, an operator deleted
the grant or its date came, and of which the vendor could not be told yet. A
running Caddy tells it again and again, for a week, and drops what a user has
connected anew meanwhile. Nobody can use what is listed. FAILED is how often the
vendor could not be told, and NEXT is when it is told again.`,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print a line of JSON for each")
	runGrants(cmd, 0, func(ctx context.Context, _ string) error {
		return c.with(ctx, func(s *grants.Store) error {
			const line = "%-26s  %-20s  %-20s  %-20s  %-20s  %-6v  %s\n"
			encoder, n, out := json.NewEncoder(cmd.OutOrStdout()), 0, cmd.OutOrStdout()
			err := s.ForEachRevocation(ctx, func(r *grants.Revocation) error {
				g := r.Grant
				if n++; asJSON {
					return encoder.Encode(shownRevocation{g.ID, g.Provider, g.Source, g.Realm, g.Subject, g.Account, g.Label, r.Attempts, r.Created.UTC(), r.Due.UTC()})
				}
				if n == 1 {
					if _, err := fmt.Fprintf(out, line, "ID", "PROVIDER", "REALM", "SUBJECT", "ACCOUNT", "FAILED", "NEXT"); err != nil {
						return err
					}
				}
				_, err := fmt.Fprintf(out, line, g.ID, placeName(g.Owner), QuoteForTerminal(g.Realm), QuoteForTerminal(g.Subject), QuoteForTerminal(g.Account), r.Attempts, r.Due.UTC().Format(time.RFC3339))
				return err
			})
			if err == nil && n == 0 && !asJSON {
				_, err = fmt.Fprintln(out, "Vendors were told of everything that has ended.")
			}
			return explainStoreError(mendRow(err), "")
		})
	})
	return cmd
}
