// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

func (c *grantsConfig) doubtCommand() *cobra.Command {
	var provider, source string
	cmd := &cobra.Command{
		Use:   "doubt",
		Short: "Says that refresh tokens may be spent, after a backup was restored",
		Long: `
Run it when a backup of the database was restored, before Caddy is started. Vendors that
give another refresh token with each access token have given others since, and the backup
has the ones that are spent. Each is still tried once; but a vendor's refusal is believed at
once, and its user asked to connect anew, instead of getting errors until it was refused
twice. It changes nothing for tokens that are good, and may be run again.`,
	}
	cmd.Flags().StringVar(&provider, "provider", "", "The grants of this provider alone")
	cmd.Flags().StringVar(&source, "source", "", "The grants of this source alone")
	runGrants(cmd, 0, func(ctx context.Context, _ string) error {
		return c.with(ctx, func(s *grants.Store) error {
			n, err := s.Doubt(ctx, provider, source, operatorName())
			if err != nil {
				return explainStoreError(err, "")
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The refresh tokens of %d grants are in doubt until they have worked.\n", n)
			return err
		})
	})
	return cmd
}
