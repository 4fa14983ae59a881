// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// routePolicy is the policy of one directive, with the lines it was made of.
type routePolicy struct {
	*policy.Table
	lines []delegation.Route
}

// try checks one provider.
func (c *check) try(ctx context.Context, p *provider, policies []routePolicy, tell func(delegation.Finding)) {
	if !p.canCheck() {
		tell(delegation.Finding{Step: "provider", Detail: "this kind of provider cannot be checked", Skipped: true})
		return
	}
	q := delegation.CheckRequest{Send: c.read}
	for _, policy := range policies {
		q.Routes = append(q.Routes, policy.lines...)
	}
	if _, connects := p.connector(); connects && c.subject != "" && p.host.usesGrants && !p.host.grantStore.Exists() {
		tell(delegation.Finding{Step: "grants", Detail: "there is no database yet: start Caddy once, and have somebody connect"})
		return
	}
	if c.subject != "" {
		q.Delegation = c.delegation(p)
	}
	if c.route != "" {
		verdict, err := match(policies, c.method, c.path)
		if err != nil {
			tell(delegation.Finding{Step: "route", Detail: err.Error()})
			return
		}
		q.Delegation.Scopes = verdict.Scopes
		tell(delegation.Finding{Step: "route", Detail: "allowed, with " + strings.Join(verdict.Scopes, " "), OK: true})
	}
	if err := p.check(ctx, q, tell); err != nil {
		tell(delegation.Finding{Step: "check", Detail: err.Error()})
		return
	}
	switch {
	case c.subject == "":
		tell(delegation.Finding{Step: "user", Detail: "whether a user is found, and gets a token: add --subject", Skipped: true})
	case c.route == "":
		tell(delegation.Finding{Step: "route", Detail: "whether it is allowed, and what the platform answers: add --route \"GET /path\" and --read", Skipped: true})
	case !c.read:
		tell(delegation.Finding{Step: "read", Detail: "what the platform answers: add --read", Skipped: true})
	}
}

// delegation is the request to try.
func (c *check) delegation(p *provider) *delegation.Delegation {
	d := &delegation.Delegation{
		Provider: p.name, Person: delegation.Person{Realm: c.realm, Subject: c.subject}, Claim: c.claim,
		Method: c.method, Path: c.path, URI: c.path,
	}
	if c.query != "" {
		d.URI += "?" + c.query
	}
	if d.Claim == "" {
		d.Claim = c.subject
	}
	return d
}

// match asks the policies of all directives of a provider; the first that
// allows the route counts.
func match(policies []routePolicy, method, path string) (verdict policy.Match, err error) {
	err = errors.New("no directive of the configuration is of this provider")
	for _, table := range policies {
		if verdict, err = table.Match(method, path, false); err == nil {
			return verdict, nil
		}
		err = fmt.Errorf("%w: no allow line covers it", err)
	}
	return verdict, err
}
