// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// ImportTarget is the source of a provider whose grants are imported.
type ImportTarget struct {
	// Consents are the source's.
	Consents *grants.Consents
	// HasDatabase reports whether the grants' database is there.
	HasDatabase bool
	// NoAccount reports that the vendor does not say whose account it is.
	NoAccount bool
	// Close releases what the source holds.
	Close func() error
}

// The exit codes of import, besides 0 and that of a command that has not begun.
const (
	exitNotImported = 4 // some lines cannot be imported
	exitRunAgain    = 5 // some lines are left
)

const maxImportConcurrency = 64

func (c *grantsConfig) importCommand() *cobra.Command {
	var provider, source string
	var dryRun, again, asJSON bool
	concurrency := 4
	cmd := &cobra.Command{
		Use:   "import --source <provider>/<source>",
		Short: "Takes over refresh tokens of another program, a line of JSON each",
		Long: `
Reads a line of JSON for each user from the standard input:

  {"realm":"app","subject":"alice","account":"4711","scopes":["user.metrics"],"refresh_token":"…"}

realm and subject are the app's names of the user, account is the vendor's. label is how
the account is shown; without scopes they are those of the configuration. Where the vendor
gives no refresh token it is access_token, for OAuth 1.0a with token_secret. A vendor that
wants the redirect URI of the consent at each refresh needs redirect_uri.

Each token is tried once, by spending it at the vendor, and what the vendor answers is
kept. Where it says whose account that is, the line's has to be the same. The other program
must not spend the tokens any more: stop it first.

What has become of a line is told by its number; nothing of what it says is printed. It may
be interrupted, killed, and run again with the same file: what was done is told as imported
before, and not sent again. A user who has connected here keeps that grant, and who has left
since is not brought back. --retry-refused sends those again that the vendor did not accept,
for a client that was the wrong one.

It ends with code 0 if each user has a grant, with 4 if some lines cannot be imported, with 5
if some are left and it is to be run again, and with 1 if it has not begun. It works beside
a running Caddy, as the user Caddy runs as.`,
	}
	flags := cmd.Flags()
	flags.StringVar(&provider, "provider", "", "The provider, if --source does not name it")
	flags.StringVar(&source, "source", "", "The source, such as study/withings")
	flags.BoolVar(&dryRun, "dry-run", false, "Read the lines only: nothing is sent, and the database not opened")
	flags.BoolVar(&again, "retry-refused", false, "Send tokens again that the vendor has not accepted")
	flags.IntVar(&concurrency, "concurrency", concurrency, fmt.Sprintf("The number of lines to try at the same time, up to %d", maxImportConcurrency))
	flags.BoolVar(&asJSON, "json", false, "Print a line of JSON for each line")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
		if before, after, ok := strings.Cut(source, "/"); ok && provider == "" {
			provider, source = before, after
		}
		switch {
		case fl.NArg() > 0:
			return caddy.ExitCodeFailedStartup, errors.New("this command takes flags only: the lines come from the standard input, as in `< file.jsonl`")
		case provider == "" || source == "":
			return caddy.ExitCodeFailedStartup, errors.New("name a provider and its source: --source study/withings")
		case concurrency < 1 || concurrency > maxImportConcurrency:
			return caddy.ExitCodeFailedStartup, fmt.Errorf("--concurrency is 1 to %d", maxImportConcurrency)
		}
		target, err := c.backend.Import(c.Config, provider, source)
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		// The first signal lets the lines end that are under way; the second kills.
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		background.Go("waiting for a signal", func() { <-ctx.Done(); stop() })
		run := &importRun{target: target, dryRun: dryRun, again: again, asJSON: asJSON, concurrency: concurrency, out: cmd.OutOrStdout()}
		code, err := run.importAll(ctx, cmd.InOrStdin(), cmd.ErrOrStderr())
		if e := target.Close(); e != nil {
			return exitRunAgain, errors.Join(err, e)
		}
		return code, err
	})
	return cmd
}

// importAll imports all lines, and returns the exit code with the error that says why.
func (r *importRun) importAll(ctx context.Context, in io.Reader, warnings io.Writer) (int, error) {
	if !r.dryRun {
		if !r.target.HasDatabase {
			return caddy.ExitCodeFailedStartup, errors.New("there is no database yet: run this as the user Caddy runs as, with the same environment; if you have, start Caddy once")
		}
		if err := r.target.Consents.RecordImport(ctx, operatorName()); err != nil {
			return caddy.ExitCodeFailedStartup, explainStoreError(err, "")
		}
	}
	if r.target.NoAccount {
		if _, err := fmt.Fprintln(warnings, "Warning: this source does not say whose account was connected: the account of each line is believed, and one account may be imported for several users."); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
	}
	if err := r.each(ctx, in); err != nil {
		return exitRunAgain, err
	}
	if err := r.summarize(); err != nil {
		return exitRunAgain, err
	}
	switch {
	case r.stopped != "":
		return exitRunAgain, fmt.Errorf("stopped behind line %d: %s. Then run this again with the same file", r.last, r.stopped)
	case r.left > 0:
		return exitRunAgain, fmt.Errorf("%d lines are left: run this again with the same file", r.left)
	case r.failed > 0:
		return exitNotImported, fmt.Errorf("%d lines cannot be imported: their reasons are above", r.failed)
	default:
		return caddy.ExitCodeSuccess, nil
	}
}
