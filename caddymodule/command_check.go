// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
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
its keys can be read, this machine's clock is right, and the platform gives this
server a token. With --subject it also finds that user's participant and gets a
token for them; with --route only for what that route needs; with --read it
sends the request, and tells status and size of the answer, never what it says.

It ends with code 0 if all that was tried works. No secret is printed.`,
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

// found is a finding as it is printed.
type found struct {
	Step   string `json:"step"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// run checks, prints, and tells whether all is well.
func (c *check) run(ctx context.Context, out io.Writer) (ok bool, err error) {
	app, policies, err := c.load()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, app.Cleanup()) }()
	names := slices.Sorted(maps.Keys(app.providers))
	if c.provider != "" {
		if !slices.Contains(names, c.provider) {
			return false, fmt.Errorf("there is no provider %q: name one of %s", c.provider, strings.Join(names, ", "))
		}
		names = []string{c.provider}
	}
	ok = true
	all := make(map[string][]found)
	for _, name := range names {
		if !c.json {
			fmt.Fprintln(out, name)
		}
		c.try(ctx, app.providers[name], policies[name], func(f delegation.Finding) {
			ok = ok && f.OK
			all[name] = append(all[name], found{f.Step, f.OK, f.Detail})
			if !c.json {
				fmt.Fprintf(out, "  %s %-18s %s\n", map[bool]string{true: "✓", false: "✗"}[f.OK], f.Step, f.Detail)
			}
		})
	}
	if c.json {
		err = json.NewEncoder(out).Encode(map[string]any{"ok": ok, "providers": all})
	}
	return ok, err
}

// try checks one provider.
func (c *check) try(ctx context.Context, p *provider, tables []*policy.Table, tell func(delegation.Finding)) {
	if !p.checks() {
		tell(delegation.Finding{Step: "check", Detail: "this kind of provider cannot be checked"})
		return
	}
	q := delegation.Question{Read: c.read}
	if _, connects := p.connector(); connects && c.subject != "" && p.keepsGrants && !p.ledger.Made() {
		tell(delegation.Finding{Step: "grants", Detail: "there is no database yet: start Caddy once, and have somebody connect"})
		return
	}
	if c.subject != "" {
		q.Delegation = &delegation.Delegation{
			Provider: p.name, Person: delegation.Person{Realm: c.realm, Subject: c.subject}, Claim: c.claim,
			Method: c.method, Path: c.path, URI: c.path,
		}
		if c.query != "" {
			q.Delegation.URI += "?" + c.query
		}
		if q.Delegation.Claim == "" {
			q.Delegation.Claim = c.subject
		}
	}
	if c.route != "" {
		verdict, err := match(tables, c.method, c.path)
		if err != nil {
			tell(delegation.Finding{Step: "route", Detail: err.Error()})
			return
		}
		q.Delegation.Scopes = verdict.Scopes
		tell(delegation.Finding{Step: "route", Detail: "allowed, with " + strings.Join(verdict.Scopes, " "), OK: true})
	}
	if err := p.check(ctx, q, tell); err != nil {
		tell(delegation.Finding{Step: "check", Detail: err.Error()})
	}
}

// match asks the policies of all directives of a provider; the first that
// allows the route counts.
func match(tables []*policy.Table, method, path string) (verdict policy.Verdict, err error) {
	err = errors.New("no directive of the configuration is of this provider")
	for _, table := range tables {
		if verdict, err = table.Match(method, path, false); err == nil {
			return verdict, nil
		}
		err = fmt.Errorf("%w: no allow line covers it", err)
	}
	return verdict, err
}

// load provisions the delegate app of the configuration and nothing else, and
// collects the route policies of each provider's directives.
func (c *check) load() (*App, map[string][]*policy.Table, error) {
	text, settings, err := readConfig(c.config, c.adapter)
	if err != nil {
		return nil, nil, err
	}
	delete(settings, "cache") // what others have minted shows nothing
	alone, err := json.Marshal(settings)
	if err != nil {
		return nil, nil, err
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:   &caddy.AdminConfig{Disabled: true},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}}}},
		AppsRaw: caddy.ModuleMap{"delegate": alone},
	})
	if err != nil {
		return nil, nil, err
	}
	app, err := configuredApp(ctx)
	if err != nil {
		return nil, nil, err
	}
	policies, err := app.policies(text)
	return app, policies, err
}

// policies finds the handlers of a configuration, wherever they are.
func (a *App) policies(config []byte) (map[string][]*policy.Table, error) {
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		return nil, err
	}
	all := make(map[string][]*policy.Table)
	var fault error
	var visit func(any)
	visit = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, child := range node {
				visit(child)
			}
		case map[string]any:
			if node["handler"] == "delegate" {
				fault = errors.Join(fault, a.addPolicy(node, all))
			}
			for _, name := range slices.Sorted(maps.Keys(node)) {
				visit(node[name])
			}
		}
	}
	visit(tree)
	return all, fault
}

func (a *App) addPolicy(node map[string]any, to map[string][]*policy.Table) error {
	text, err := json.Marshal(node)
	if err != nil {
		return err
	}
	var h Handler
	if err := json.Unmarshal(text, &h); err != nil {
		return fmt.Errorf("reading a delegate handler: %w", err)
	}
	p, ok := a.providers[h.Provider]
	if !ok {
		return fmt.Errorf("a directive names the unknown provider %q", h.Provider)
	}
	table, err := h.policy(p)
	to[h.Provider] = append(to[h.Provider], table)
	return err
}
