// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
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

// check is what the command was asked.
type check struct {
	config, adapter       string
	provider              string
	subject, realm, claim string
	route                 string
	read, json            bool
	method, path, query   string // of the route
}

func checkCommand() *cobra.Command {
	var c check
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

What works is marked ✓ and what does not ✗. What was "not looked at", and why, is
marked –. It ends with code 0 if nothing has a ✗. No secret is printed.`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVarP(&c.config, "config", "c", "", "The configuration file; default: Caddyfile in this folder")
	flags.StringVarP(&c.adapter, "adapter", "a", "", "The adapter, if it is no Caddyfile or JSON")
	flags.StringVar(&c.provider, "provider", "", "Check this provider alone")
	flags.StringVar(&c.subject, "subject", "", "A user of the app, as its sessions name them")
	flags.StringVar(&c.realm, "realm", defaultRealm, "The realm of the subject")
	flags.StringVar(&c.claim, "claim", "", "What the session says of the participant, if it is not the subject")
	flags.StringVar(&c.route, "route", "", `A method and a path, such as "GET /api/v1/delegated/participant"`)
	flags.BoolVar(&c.read, "read", false, "Send the request; GET and HEAD only")
	flags.BoolVar(&c.json, "json", false, "Print JSON")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		if err := c.complete(); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), checkTimeout)
		defer cancel()
		ok, err := c.run(ctx, cmd.OutOrStdout())
		if err == nil && !ok {
			err = errors.New("not everything works: see where it says ✗, or ok is false")
		}
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// complete checks the flags that belong together.
func (c *check) complete() error {
	switch {
	case c.route != "" && c.subject == "":
		return errors.New("--route is tried for a user: add --subject")
	case c.claim != "" && c.subject == "":
		return errors.New("--claim is of a user: add --subject")
	case c.read && c.route == "":
		return errors.New("--read sends a request: add --route")
	case c.route == "":
		return nil
	}
	var ok bool
	if c.method, c.path, ok = strings.Cut(c.route, " "); !ok || !strings.HasPrefix(c.path, "/") || strings.ContainsAny(c.path, " #") {
		return fmt.Errorf(`--route %q: write a method and a path, such as "GET /api/v1/delegated/participant"`, c.route)
	}
	if c.read && c.method != http.MethodGet && c.method != http.MethodHead {
		return fmt.Errorf("--read sends GET and HEAD only: a %s may change something", c.method)
	}
	var err error
	c.path, c.query, _ = strings.Cut(c.path, "?")
	if c.path, err = policy.Canonical(c.path); err != nil {
		return fmt.Errorf("--route %q: the path can be read in more than one way", c.route)
	}
	return nil
}
