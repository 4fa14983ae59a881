// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Provider is one application with the sources that its people connect. It
// implements [delegation.SourceProvider]. Make it with [New].
type Provider struct {
	sources []*source
	byName  map[string]*source
	traits  delegation.Traits
}

// New returns a provider of sources, in the order in which people are shown them. It
// touches neither network nor files. Every error names the source that it is about.
func New(configs []Config) (*Provider, error) {
	if len(configs) == 0 {
		return nil, errors.New("there is no source: define one with `source`")
	}
	p := &Provider{byName: make(map[string]*source, len(configs))}
	fingerprints := []string{"sources"}
	for i := range configs {
		s, err := newSource(configs[i])
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", configs[i].Name, err)
		}
		if p.byName[s.config.Name] != nil {
			return nil, fmt.Errorf("source %s is there twice: remove one", s.config.Name)
		}
		p.sources, p.byName[s.config.Name] = append(p.sources, s), s
		fingerprints = append(fingerprints, s.config.fingerprint())
	}
	p.traits = delegation.Traits{Fingerprint: delegation.Fingerprint(fingerprints)}
	return p, nil
}

// Traits implements [delegation.Provider]. Scopes and issuers are the sources'.
func (p *Provider) Traits() delegation.Traits { return p.traits }

// Sources implements [delegation.SourceProvider].
func (p *Provider) Sources() []delegation.Source {
	list := make([]delegation.Source, len(p.sources))
	for i, s := range p.sources {
		list[i] = s.describe()
	}
	return list
}

// Open implements [delegation.Provider].
func (p *Provider) Open(host delegation.Host) error {
	keeper, ok := host.(delegation.SourcesHost)
	if !ok {
		return errors.New("this build keeps no grants by source, which provider sources needs")
	}
	for _, s := range p.sources {
		s.open(keeper)
	}
	return nil
}

// Close closes idle connections to the vendors.
func (p *Provider) Close() error {
	for _, s := range p.sources {
		s.close()
	}
	return nil
}

// sourceOf returns the source that a request is for: the first segment of its path.
func (p *Provider) sourceOf(d *delegation.Delegation) (*source, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(d.Path, "/"), "/")
	if s := p.byName[name]; s != nil {
		return s, nil
	}
	return nil, delegation.Refuse(delegation.RouteDenied, errors.New("the path does not begin with the name of a source"))
}

// Authorize implements [delegation.Provider].
func (p *Provider) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	s, err := p.sourceOf(d)
	if err != nil {
		return nil, err
	}
	if d.Subject == "" { // a route without session would be anybody's
		return nil, delegation.Refuse(delegation.SessionRequired, errors.New("nobody is signed in"))
	}
	return s.authorize(ctx, d)
}

// Renew implements [delegation.Provider].
func (p *Provider) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	s, err := p.sourceOf(d)
	if err != nil {
		return nil, err
	}
	return s.renew(ctx, d, stale)
}

// DiagnoseUnauthorized implements [delegation.UnauthorizedDiagnoser].
func (p *Provider) DiagnoseUnauthorized(ctx context.Context, d *delegation.Delegation, refused delegation.Credential) *delegation.Refusal {
	s, err := p.sourceOf(d)
	c, ok := refused.(*credential)
	if err != nil || !ok {
		return nil
	}
	return s.protocol.diagnose(ctx, d, c.Credential)
}

// Upstream implements [delegation.Provider].
func (p *Provider) Upstream(d *delegation.Delegation) delegation.Upstream {
	s, err := p.sourceOf(d)
	if err != nil {
		// Authorize has refused it. Nothing is below this mount.
		return delegation.Upstream{Scheme: "https", Mount: "/-"}
	}
	return s.upstream
}

// Forget implements [delegation.Provider]: the host has what is remembered.
func (p *Provider) Forget(delegation.Selection) {}

// Interface guards
var (
	_ delegation.SourceProvider        = (*Provider)(nil)
	_ delegation.UnauthorizedDiagnoser = (*Provider)(nil)
	_ delegation.Checker               = (*Provider)(nil)
)
