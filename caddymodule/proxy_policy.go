// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// Allow is one line of a route policy.
type Allow struct {
	// Methods that are allowed; HEAD follows GET, and WEBSOCKET allows an
	// upgrade. Default: DELETE, GET, HEAD, PATCH, POST and PUT.
	Methods []string `json:"methods,omitempty"`

	// Path is the pattern of the path: `*` stands for one segment, a trailing
	// `/**` for any number of them.
	Path string `json:"path"`

	// Scopes replace those of the provider, or of the source that the path names,
	// for this route; they must be among them.
	Scopes []string `json:"scopes,omitempty"`
}

var errUnsearchable = errors.New("this provider's credential stands in the address, which the platform may repeat: a WebSocket, masked and compressed, cannot be searched for it")

// compilePolicy compiles the allow lines of a directive, or without any the
// provider's own table. Lines that open WebSockets are refused for a provider
// whose credential stands in the address.
func compilePolicy(lines []Allow, p *provider) (*policy.Table, error) {
	routes := p.traits.Routes
	if lines != nil { // an empty policy is a mistake, not the default
		routes = make([]delegation.Route, len(lines))
		for i, a := range lines {
			routes[i] = delegation.Route{Methods: a.Methods, Pattern: a.Path, Scopes: a.Scopes}
		}
	}
	if len(routes) == 0 {
		return nil, fmt.Errorf("provider %s: the route policy is empty: add an `allow` line", p.name)
	}
	table, err := p.newTable(routes)
	if err != nil {
		return nil, fmt.Errorf("allow: %w", err)
	}
	for i, route := range routes {
		if !table.Upgrades(i) {
			continue
		}
		d := &delegation.Delegation{Provider: p.name, Path: route.Pattern, Upgrade: true}
		if source := p.sourceOf(route.Pattern); source != nil {
			d.Source = source.Name
		}
		upstream, err := p.Upstream(d)
		if err != nil {
			return nil, err
		}
		if upstream.CredentialInURL {
			return nil, fmt.Errorf("allow: line %d (%s): %w: remove WEBSOCKET", i+1, route.Pattern, errUnsearchable)
		}
	}
	return table, nil
}

// newTable compiles routes by the scopes of the provider, or of its sources.
func (p *provider) newTable(routes []delegation.Route) (*policy.Table, error) {
	if !p.hasSources() {
		return policy.New(routes, p.traits.Scopes)
	}
	sources := make([]policy.Source, len(p.sources))
	for i, s := range p.sources {
		sources[i] = policy.Source{Name: s.Name, Scopes: s.Scopes, NoScopes: s.NoScopes, Covers: s.covers}
	}
	return policy.NewOfSources(routes, sources)
}
