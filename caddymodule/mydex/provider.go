// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Provider is one account at Mydex. It implements [delegation.Provider]. Make it
// with [New].
type Provider struct {
	config              Config
	upstream            delegation.Upstream
	connectionTokenHash string
	styles              *Styles
	traits              delegation.Traits

	host   delegation.Host
	grants delegation.Grants
	tokens delegation.Tokens
	client *http.Client
	keys   *delegation.KeyRotation
	key    string // the name of the client secret in use
}

// New checks the configuration, and makes a provider of it. It touches neither
// network nor files. Every error begins with the Caddyfile's word for the setting
// it is about.
func New(config Config) (*Provider, error) {
	api, err := config.validate()
	if err != nil {
		return nil, err
	}
	styles, err := NewStyles(config.Rules)
	if err != nil {
		return nil, err
	}
	upstream := delegation.UpstreamAt(api)
	upstream.CredentialInURL = true // the member key is in the query of datasets
	return &Provider{
		config:              config,
		upstream:            upstream,
		connectionTokenHash: config.connectionTokenHash(),
		styles:              styles,
		traits: delegation.Traits{
			Scopes:      config.Scopes,
			HTTP:        config.HTTP,
			BaseURL:     config.APIURL + "/",
			Issuer:      config.TokenURL,
			Fingerprint: config.fingerprint(),
		},
	}, nil
}

// Traits implements [delegation.Provider].
func (p *Provider) Traits() delegation.Traits {
	t := p.traits
	t.Scopes = slices.Clone(t.Scopes)
	return t
}

// Open implements [delegation.Provider].
func (p *Provider) Open(host delegation.Host) error {
	keeper, ok := host.(delegation.GrantsHost)
	if !ok {
		return errors.New("this build keeps no grants, which provider mydex needs")
	}
	p.host, p.grants = host, keeper.Grants()
	account := delegation.Fingerprint([]string{"account", p.config.TokenURL, p.config.clientName()})
	p.keys = host.Retain(account, func() io.Closer { return new(delegation.KeyRotation) }).(*delegation.KeyRotation)
	p.key = p.keys.NameOf(p.config.ClientSecret.Fingerprint("mydex"))
	p.client = p.config.HTTP.Client()
	p.tokens = host.Tokens(p.mint)
	return nil
}

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
	place, err := p.styles.Placement(d.Method, d.Path)
	if err != nil {
		return nil, err
	}
	grant, err := p.decodedGrantOf(ctx, d.Person)
	if err != nil {
		return nil, err
	}
	d.Participant = grant.member.UID
	token, cached, err := p.tokens.Get(ctx, p.identity(d.Scopes))
	if err != nil {
		return nil, err
	}
	d.Cached = cached
	return &Credential{Token: token, Member: grant.member, Placement: place}, nil
}

// Renew implements [delegation.Provider]. If the person's grant is another one by
// now, its identity is in the new credential.
func (p *Provider) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	c, ok := stale.(*Credential)
	if !ok {
		return nil, delegation.Refuse(delegation.NotDelegated, errors.New("there is no credential of this provider to renew"))
	}
	token, err := p.tokens.Renew(ctx, p.identity(d.Scopes), c.Token)
	if err != nil {
		return nil, err
	}
	grant, err := p.decodedGrantOf(ctx, d.Person)
	if err != nil {
		return nil, err
	}
	d.Participant = grant.member.UID
	return &Credential{Token: token, Member: grant.member, Placement: c.Placement}, nil
}

// Upstream implements [delegation.Provider].
func (p *Provider) Upstream(*delegation.Delegation) delegation.Upstream { return p.upstream }

// Forget implements [delegation.Provider]. The host has the grants read again; only
// their people end them.
func (p *Provider) Forget(delegation.Selection) {}

// Interface guards
var (
	_ delegation.Provider              = (*Provider)(nil)
	_ delegation.ConsentStarter        = (*Provider)(nil)
	_ delegation.CallbackReader        = (*Provider)(nil)
	_ delegation.GrantDecoder          = (*Provider)(nil)
	_ delegation.ConsentProber         = (*Provider)(nil)
	_ delegation.UnauthorizedDiagnoser = (*Provider)(nil)
	_ delegation.Checker               = (*Provider)(nil)
)
