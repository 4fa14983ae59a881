// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Provider is one application at a Connect platform. It implements
// [delegation.Provider]. Make it with [New].
type Provider struct {
	config   Config
	upstream delegation.Upstream
	traits   delegation.Traits

	host   delegation.Host
	grants delegation.Grants
	client *http.Client
}

// New checks the configuration, and makes a provider of it. It touches neither
// network nor files. Every error begins with the Caddyfile's word for the setting
// it is about.
func New(config Config) (*Provider, error) {
	api, err := config.validate()
	if err != nil {
		return nil, err
	}
	upstream := delegation.UpstreamAt(api)
	upstream.CredentialInURL = config.TokenIn.In == TokenInQuery
	return &Provider{
		config:   config,
		upstream: upstream,
		traits: delegation.Traits{
			Claim:       config.ClientUserID,
			HTTP:        config.HTTP,
			BaseURL:     config.APIURL + "/",
			Issuer:      config.ExchangeURL,
			Fingerprint: config.fingerprint(),
		},
	}, nil
}

// Traits implements [delegation.Provider]. There are no scopes: a grant has one
// access token, for all routes.
func (p *Provider) Traits() delegation.Traits { return p.traits }

// Open implements [delegation.Provider].
func (p *Provider) Open(host delegation.Host) error {
	keeper, ok := host.(delegation.GrantsHost)
	if !ok {
		return errors.New("this build keeps no grants, which provider connect needs")
	}
	p.host, p.grants = host, keeper.Grants()
	p.client = p.config.HTTP.Client()
	if p.config.Binding == BindingNone {
		host.Logger().Warn("binding is none: " + unboundMeaning)
	}
	if p.upstream.CredentialInURL {
		host.Logger().Warn("token_in is query: access tokens stand in the addresses of data calls, which the platform and every proxy on the way may log; use bearer if the platform takes it")
	}
	return nil
}

// unboundMeaning says what binding none means.
const unboundMeaning = "whoever posts somebody else's one-time token reads that person's data as their own; use binding echo or verify if the platform says whose token it was"

// Close closes idle connections.
func (p *Provider) Close() error {
	if p.client != nil {
		p.client.CloseIdleConnections()
	}
	return nil
}

// Authorize implements [delegation.Provider].
func (p *Provider) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	if d.Subject == "" {
		return nil, delegation.Refuse(delegation.SessionRequired, errors.New("nobody is signed in"))
	}
	g, err := p.grants.Get(ctx, d.Person)
	if err != nil {
		return nil, err
	}
	d.Cached = true // the exchange is long past
	return p.credentialOf(d, g)
}

// Renew implements [delegation.Provider]. An access token of this platform has no
// successor but that of the next consent: if there has been none, the same
// credential is returned, so that its second 401 is looked into
// ([Provider.DiagnoseUnauthorized]). Nobody at the platform is asked here.
func (p *Provider) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	c, ok := stale.(*Credential)
	if !ok {
		return nil, delegation.Refuse(delegation.NotDelegated, errors.New("there is no credential of this provider to renew"))
	}
	g, newer, err := p.grants.GetNewer(ctx, c.token.grant)
	switch {
	case err != nil:
		return nil, err
	case !newer:
		return c, nil
	}
	return p.credentialOf(d, g)
}

// credentialOf returns the credential of a grant, and says in d who the person is.
func (p *Provider) credentialOf(d *delegation.Delegation, g *delegation.Grant) (delegation.Credential, error) {
	token, err := of(g)
	if err != nil {
		return nil, err
	}
	d.Participant = g.Account
	return &Credential{token: token, place: p.config.TokenIn}, nil
}

// Upstream implements [delegation.Provider].
func (p *Provider) Upstream(*delegation.Delegation) delegation.Upstream { return p.upstream }

// Forget implements [delegation.Provider]: the host has what is remembered.
func (p *Provider) Forget(delegation.Selection) {}

// Interface guards
var (
	_ delegation.Provider              = (*Provider)(nil)
	_ delegation.ConsentStarter        = (*Provider)(nil)
	_ delegation.Redeemer              = (*Provider)(nil)
	_ delegation.GrantDecoder          = (*Provider)(nil)
	_ delegation.ConsentProber         = (*Provider)(nil)
	_ delegation.UnauthorizedDiagnoser = (*Provider)(nil)
	_ delegation.Checker               = (*Provider)(nil)
)
