// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/command"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// routePolicy is the policy of one directive, with the lines it was made of.
type routePolicy struct {
	*policy.Table
	lines []delegation.Route
}

// checkConfiguration checks the providers of a configuration, and what is around
// them.
func checkConfiguration(ctx context.Context, c *command.CheckOptions, r *command.Report) (err error) {
	l, err := load(c.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.app.Cleanup()) }()
	names := slices.Sorted(maps.Keys(l.app.providers))
	if c.Provider != "" {
		if !slices.Contains(names, c.Provider) {
			return fmt.Errorf("there is no provider %q: name one of %s", c.Provider, strings.Join(names, ", "))
		}
		names = []string{c.Provider}
	}
	for _, name := range names {
		r.BeginProvider(name)
		l.app.providers[name].try(ctx, c, l.policies[name], r.Add)
	}
	r.Begin(command.ConfigurationPart)
	l.checkSurroundings(ctx, c.Provider, r.Add)
	return nil
}

// try checks a provider, for which directives have the policies.
func (p *provider) try(ctx context.Context, c *command.CheckOptions, policies []routePolicy, tell func(delegation.Finding)) {
	if !p.canCheck() {
		tell(delegation.Finding{Step: "provider", Detail: "this kind of provider cannot be checked", Skipped: true})
		return
	}
	q := delegation.CheckRequest{Send: c.Read}
	for _, policy := range policies {
		q.Routes = append(q.Routes, policy.lines...)
	}
	if (p.needsConsent() || p.hasSources()) && c.Subject != "" && p.host.usesGrants && !p.host.grantStore.Exists() {
		tell(delegation.Finding{Step: "grants", Detail: "there is no database yet: start Caddy once, and have somebody connect"})
		return
	}
	if c.Subject != "" {
		q.Delegation = checkedDelegation(c, p)
	}
	if c.Route != "" {
		match, err := matchAny(policies, c.Method, c.Path)
		if err != nil {
			tell(delegation.Finding{Step: "route", Detail: err.Error()})
			return
		}
		q.Delegation.Scopes = match.Scopes
		tell(delegation.Finding{Step: "route", Detail: strings.TrimSuffix("allowed, with "+strings.Join(match.Scopes, " "), ", with "), OK: true})
	}
	if err := p.check(ctx, q, tell); err != nil {
		tell(delegation.Finding{Step: "check", Detail: err.Error()})
		return
	}
	p.checkAccounts(q.Delegation, tell)
	switch {
	case c.Subject == "":
		tell(delegation.Finding{Step: "user", Detail: "whether a user is found, and gets a token: add --subject", Skipped: true})
	case c.Route == "":
		tell(delegation.Finding{Step: "route", Detail: "whether it is allowed, and what the platform answers: add --route \"GET /path\" and --read", Skipped: true})
	case !c.Read:
		tell(delegation.Finding{Step: "read", Detail: "what the platform answers: add --read", Skipped: true})
	}
}

// checkAccounts tells of each source, or of the one that the request is for, whose vendor
// does not say whose account was connected: what is promised of accounts does not hold.
func (p *provider) checkAccounts(d *delegation.Delegation, tell func(delegation.Finding)) {
	for _, s := range p.sources {
		if s.NoAccount && (d == nil || d.Source == "" || d.Source == s.Name) {
			tell(delegation.Finding{
				Step: s.Name + " account", OK: true, Warning: true,
				Detail: "nothing says whose account was connected: two users may connect the same one, and somebody who connects again may bring another; add a line `account` if the vendor says it anywhere",
			})
		}
	}
}

// checkedDelegation is the request that a check is about.
func checkedDelegation(c *command.CheckOptions, p *provider) *delegation.Delegation {
	d := &delegation.Delegation{
		Provider: p.name, Person: delegation.Person{Realm: c.Realm, Subject: c.Subject}, Claim: c.Claim,
		Method: c.Method, Path: c.Path, URI: c.Path,
	}
	if c.Query != "" {
		d.URI += "?" + c.Query
	}
	if d.Claim == "" {
		d.Claim = c.Subject
	}
	if source := p.sourceOf(d.Path); source != nil {
		d.Source = source.Name
	}
	return d
}

// matchAny asks the policies of all directives of a provider; the first that
// allows the route counts.
func matchAny(policies []routePolicy, method, path string) (match policy.Match, err error) {
	err = errors.New("no directive of the configuration is of this provider")
	for _, table := range policies {
		if match, err = table.Match(method, path, false); err == nil {
			return match, nil
		}
		err = fmt.Errorf("%w: no allow line covers it", err)
	}
	return match, err
}
