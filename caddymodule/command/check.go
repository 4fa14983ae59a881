// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// checkTimeout bounds a whole check.
const checkTimeout = 2 * time.Minute

// CheckOptions is what `caddy delegate check` is asked for.
type CheckOptions struct {
	Config
	// Provider is the one to check. Empty: all.
	Provider string
	// Subject and Realm are a user of the app, and Claim what their session says
	// of the participant, if that is not the subject. Subject empty: nobody is
	// looked up.
	Subject, Realm, Claim string
	// Route is `METHOD /path?query` as the flag has it. Empty: none is tried.
	Route string
	// Read is whether the request of the route is sent.
	Read bool
	// Method, Path and Query are the route's parts, the path in its canonical form.
	Method, Path, Query string
}

func checkCommand(b Backend) *cobra.Command {
	var c CheckOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tries whether the platforms let this server act for its users",
		Long: `
Reads a configuration, without running it, and tries for each provider whether
its keys can be read, the platform answers, this machine's clock is right, and
the platform gives this server a token, knows the project and delegates the
scopes. With --subject it also finds that user's participant and gets a token
for them; with --route only for what that route needs; with --read it sends the
request, and tells status and size of the answer, never what it says.

Then it looks at what is around the providers: the keys and endpoints of each
app_session, what sets each directive's subject, Redis, the database of the
grants, and the callback of each delegate_connect, to which it posts as the
platform would, without the platform's credential.

What works is marked ✓ and what does not ✗; what may be meant, and mostly is not,
has a !. What was "not looked at", and why, is marked –. What has ✗ or ! is said
once more at the end. It ends with code 0 if nothing has a ✗. No secret is printed.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	c.flags(flags)
	flags.StringVar(&c.Provider, "provider", "", "Check this provider alone")
	flags.StringVar(&c.Subject, "subject", "", "A user of the app, as its sessions name them")
	flags.StringVar(&c.Realm, "realm", DefaultRealm, "The realm of the subject")
	flags.StringVar(&c.Claim, "claim", "", "What the session says of the participant, if it is not the subject")
	flags.StringVar(&c.Route, "route", "", `A method and a path, such as "GET /api/v1/delegated/participant"`)
	flags.BoolVar(&c.Read, "read", false, "Send the request; GET and HEAD only")
	flags.BoolVar(&asJSON, "json", false, "Print JSON")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		if err := c.complete(); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), checkTimeout)
		defer cancel()
		err := runCheck(ctx, b, &c, asJSON, cmd.OutOrStdout())
		if errors.Is(err, errFailed) {
			err = errors.New("not everything works: see where it says ✗, or ok is false")
		}
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// DefaultRealm is the realm of subjects that no app_session and no setting gives
// another one.
const DefaultRealm = "default"

// errFailed says that something does not work, and was printed.
var errFailed = errors.New("something failed")

// runCheck checks and prints.
func runCheck(ctx context.Context, b Backend, c *CheckOptions, asJSON bool, out io.Writer) error {
	r := newReport(out, asJSON)
	if err := b.Check(ctx, c, r); err != nil {
		return err
	}
	r.Summarize()
	if asJSON {
		providers, around := make(map[string][]PrintedFinding), []PrintedFinding(nil)
		for _, p := range r.Parts {
			if p.Provider {
				providers[p.Title] = p.Findings
			} else {
				around = p.Findings
			}
		}
		if err := json.NewEncoder(out).Encode(map[string]any{"ok": r.allOK(), "providers": providers, ConfigurationPart: around}); err != nil {
			return err
		}
	}
	if !r.allOK() {
		return errFailed
	}
	return nil
}

// complete checks the flags that belong together.
func (c *CheckOptions) complete() error {
	switch {
	case c.Route != "" && c.Subject == "":
		return errors.New("--route is tried for a user: add --subject")
	case c.Claim != "" && c.Subject == "":
		return errors.New("--claim is of a user: add --subject")
	case c.Read && c.Route == "":
		return errors.New("--read sends a request: add --route")
	case c.Route == "":
		return nil
	}
	var ok bool
	if c.Method, c.Path, ok = strings.Cut(c.Route, " "); !ok || !strings.HasPrefix(c.Path, "/") || strings.ContainsAny(c.Path, " #") {
		return fmt.Errorf(`--route %q: write a method and a path, such as "GET /api/v1/delegated/participant"`, c.Route)
	}
	if c.Read && c.Method != http.MethodGet && c.Method != http.MethodHead {
		return fmt.Errorf("--read sends GET and HEAD only: a %s may change something", c.Method)
	}
	var err error
	c.Path, c.Query, _ = strings.Cut(c.Path, "?")
	if c.Path, err = policy.Canonical(c.Path); err != nil {
		return fmt.Errorf("--route %q: the path can be read in more than one way", c.Route)
	}
	return nil
}
