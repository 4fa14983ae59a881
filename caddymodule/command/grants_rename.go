// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

func (c *grantsConfig) renameCommand() *cobra.Command {
	var provider string
	cmd := &cobra.Command{
		Use:   "rename <old> <new>",
		Short: "Takes the grants of a provider or source along when it was renamed",
		Long: `
Gives all grants, and the ways to consent that people are on, to another name of
their provider: grants belong to the name, and renaming it in the configuration
leaves them behind. The new name has to be configured, and the old one must not
be any more. Each grant is sealed anew. It may be interrupted and run again.

With --provider it is a source of that provider that was renamed: rename
--provider study lab city_lab. Its users have to connect again if that is
another vendor's: nobody's tokens are sent to another one.

Be sure that it is the same account at the same platform: a provider of another
one would send its members' keys there.`,
	}
	cmd.Flags().StringVar(&provider, "provider", "", "The provider whose source was renamed")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		if fl.NArg() != 2 || fl.Arg(0) == "" || fl.Arg(1) == "" {
			return caddy.ExitCodeFailedStartup, errors.New("name two providers, or with --provider two of its sources: caddy delegate grants rename <old> <new>")
		}
		before, after := fl.Arg(0), fl.Arg(1)
		named := func(name string) grants.Owner { // a provider, or a source of the one
			if provider == "" {
				return grants.Owner{Provider: name}
			}
			return grants.Owner{Provider: provider, Source: name}
		}
		err := c.with(cmd.Context(), func(s *grants.Store) error {
			switch {
			case len(c.providers) == 0:
				return errors.New("the configuration has no provider: name the one that Caddy runs with, by --config")
			case provider != "" && !c.hasProvider(provider):
				return fmt.Errorf("provider %s is not configured", QuoteForTerminal(provider))
			case provider != "" && strings.Contains(before+after, " "):
				return errors.New("a source's name has no space: what binds users by participant_field is no source")
			case provider != "" && c.providers[provider] == nil: // its sources are known to its module alone
			case provider == "" && c.hasProvider(before), provider != "" && c.configured(named(before)):
				return fmt.Errorf("%s is configured, and its grants are in use: rename it in the configuration first, and reload", missingName(named(before)))
			case provider == "" && !c.hasProvider(after), provider != "" && !c.configured(named(after)):
				return fmt.Errorf("%s is not configured: name the one that takes the place of %s", missingName(named(after)), QuoteForTerminal(before))
			}
			rename := s.Rename
			if provider != "" {
				rename = func(ctx context.Context, before, after, by string) (int, error) {
					return s.RenameSource(ctx, provider, before, after, by)
				}
			}
			n, err := rename(cmd.Context(), before, after, operatorName())
			if errors.Is(err, grants.ErrConflict) {
				return fmt.Errorf("%d were renamed, then: %w: the user or the account has another grant of %s already; release or delete one of the two, and run this again", n, err, QuoteForTerminal(after))
			}
			if err != nil {
				return fmt.Errorf("%d were renamed, then: %w", n, explainStoreError(mendRow(err), ""))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Renamed %d grants and journeys of %s to %s. A running Caddy finds them within 30 seconds.\n", n, QuoteForTerminal(before), QuoteForTerminal(after))
			return err
		})
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}
