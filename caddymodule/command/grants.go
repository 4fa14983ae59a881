// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// operatorTimeout bounds one operation on the database: longer than a
// request's, because an operator would rather wait for a busy one.
const operatorTimeout = 30 * time.Second

// grantsConfig is the configuration whose grants are meant.
type grantsConfig struct {
	Config
	backend   Backend
	providers ProviderNames // that are configured, once it was read
}

func grantsCommand(b Backend) *cobra.Command {
	c := &grantsConfig{backend: b}
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "Lists, exports and changes what people have consented to",
		Long: `
Works on the grants of a configuration: on the same database and with the same
keyset as Caddy, which may be running meanwhile. Run it as the user Caddy runs
as, with the same environment: where nothing else is configured, the grants are
in that user's data directory.

Only the global option delegate of the configuration is used, and of that only
keyset and grants, and the providers' names; import uses its source as well. No secret is ever
printed. What is deleted, released, moved, imported, doubted or sealed anew is recorded in
the database, with the name of who ran this: see decisions.`,
	}
	requireSubcommand(cmd)
	c.flags(cmd.PersistentFlags())
	cmd.AddCommand(c.listCommand(), c.exportCommand(), c.deleteCommand(), c.releaseCommand(), c.moveCommand(), c.renameCommand(), c.resealCommand(), c.importCommand(), c.doubtCommand(), c.revocationsCommand(), c.decisionsCommand())
	return cmd
}

func (c *grantsConfig) resealCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reseal",
		Short: "Seals by the new key what older keys have sealed",
		Long: `
Seals everything by the keyset's present key. Run it when a rotation of the
keyset is complete, on every machine, and before the next one is begun: that
one drops the older key, and what only it sealed could not be opened again. It
may be interrupted and run again.`,
	}
	runGrants(cmd, 0, func(ctx context.Context, _ string) error {
		return c.with(ctx, func(s *grants.Store) error {
			n, err := s.Reseal(ctx, operatorName())
			if err != nil {
				return fmt.Errorf("%d were sealed anew, then: %w", n, explainStoreError(mendRow(err), ""))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Sealed %d grants and journeys anew. The rest were already sealed by the present key.\n", n)
			return err
		})
	})
	return cmd
}

// runGrants has cmd run f with the grant that is named, if one is to be.
func runGrants(cmd *cobra.Command, names int, f func(ctx context.Context, id string) error) {
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		var err error
		switch {
		case fl.NArg() == names && names == 0:
			err = f(cmd.Context(), "")
		case fl.NArg() == names && fl.Arg(0) != "":
			err = f(cmd.Context(), fl.Arg(0))
		case names == 0:
			err = fmt.Errorf("%q is too much: this command takes flags only", fl.Arg(0))
		default:
			err = errors.New("name one grant, by its id: `caddy delegate grants list` tells it")
		}
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
}

// with opens the grants for f, and closes them.
func (c *grantsConfig) with(ctx context.Context, f func(*grants.Store) error) (err error) {
	var o grants.Options
	if o, c.providers, err = c.backend.Grants(c.Config); err != nil {
		return err
	}
	o.Timeout = operatorTimeout
	where := o.File
	if o.Postgres != "" {
		where = "PostgreSQL" // its address may hold a password
	}
	s, err := grants.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("opening the grants in %s: %w", where, explainStoreError(err, ""))
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(s)
}

// mendDamaged is for one row; a store of another keyset does not open at all.
const mendDamaged = "put back a backup of the database, or delete that grant and have its owner connect anew"

// explainStoreError tells an operator what an error of the store means for the grant they
// named, and what to do.
func explainStoreError(err error, id string) error {
	switch {
	case errors.Is(err, grants.ErrNotFound):
		return fmt.Errorf("there is no grant %s: `caddy delegate grants list` tells which there are", QuoteForTerminal(id))
	case errors.Is(err, grants.ErrDamaged) && id != "":
		return fmt.Errorf("grant %s cannot be opened: its row was altered; %s", id, mendDamaged)
	case errors.Is(err, grants.ErrUnavailable):
		return fmt.Errorf("%w: see that the database runs and that this user may use it, then run this again", err)
	default:
		return err
	}
}

// mendRow adds what to do to an error that names a row.
func mendRow(err error) error {
	if errors.Is(err, grants.ErrDamaged) {
		return fmt.Errorf("%w: %s", err, mendDamaged)
	}
	return err
}

// operatorName is who decides: the account on this machine.
func operatorName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}
