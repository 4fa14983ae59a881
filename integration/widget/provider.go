// SPDX-License-Identifier: Apache-2.0

package widget

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func init() { caddy.RegisterModule(Provider{}) }

// Provider is an account at the platform.
type Provider struct {
	// Platform is the [Platform.URL].
	Platform string `json:"platform,omitempty"`

	platform *Platform
	upstream delegation.Upstream
	grants   delegation.Grants
}

// CaddyModule returns the Caddy module information.
func (Provider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "delegate.providers.widget", New: func() caddy.Module { return new(Provider) }}
}

// UnmarshalCaddyfile reads the setting platform.
func (p *Provider) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	for d.NextBlock(0) {
		if d.Val() != "platform" || !d.AllArgs(&p.Platform) {
			return d.ArgErr()
		}
	}
	return nil
}

// Provision implements [caddy.Provisioner].
func (p *Provider) Provision(caddy.Context) error {
	platform, ok := platforms.Load(p.Platform)
	if !ok {
		return errors.New("there is no such platform")
	}
	p.platform = platform.(*Platform)
	u, err := url.Parse(p.Platform)
	p.upstream = delegation.UpstreamAt(u)
	return err
}

// Traits implements [delegation.Provider].
func (p *Provider) Traits() delegation.Traits {
	return delegation.Traits{
		Scopes: []string{"data"}, Routes: []delegation.Route{{Pattern: "/**"}}, BaseURL: p.Platform + "/",
		Issuer: p.Platform, Fingerprint: delegation.Fingerprint([]string{p.Platform}),
	}
}

// Open implements [delegation.Provider].
func (p *Provider) Open(host delegation.Host) error {
	keeper, ok := host.(delegation.GrantsHost)
	if !ok {
		return errors.New("this build keeps no grants")
	}
	p.grants = keeper.Grants()
	return nil
}

// Authorize implements [delegation.Provider].
func (p *Provider) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	g, err := p.grants.Get(ctx, d.Person)
	if err != nil {
		return nil, err
	}
	d.Participant = g.Account
	return delegation.Bearer{Token: &delegation.Token{Access: g.Secret}}, nil
}

// Renew implements [delegation.Provider].
func (p *Provider) Renew(context.Context, *delegation.Delegation, delegation.Credential) (delegation.Credential, error) {
	return nil, delegation.Refuse(delegation.ConsentRequired, errors.New("there is no other"))
}

// Upstream implements [delegation.Provider].
func (p *Provider) Upstream(*delegation.Delegation) delegation.Upstream { return p.upstream }

// Forget implements [delegation.Provider].
func (p *Provider) Forget(delegation.Selection) {}

// User is the name by which the platform knows a person of the app.
func User(realm, subject string) string {
	sum := sha256.Sum256([]byte(realm + "\x00" + subject))
	return hex.EncodeToString(sum[:8])
}

// StartConsent implements [delegation.ConsentStarter].
func (p *Provider) StartConsent(_ context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	user := User(flow.Realm, flow.Subject)
	return &delegation.ConsentPage{
		Widget: map[string]string{"widget_url": p.Platform + "/connect.js", "clientId": "client", "clientUserId": user, "publicToken": ""},
		Secret: delegation.NewSecret(user),
	}, nil
}

// OneTimeToken implements [delegation.Redeemer].
func (p *Provider) OneTimeToken(handed url.Values) (delegation.Secret, error) {
	token := handed.Get("specialToken")
	if token == "" || len(token) > 1024 {
		return delegation.Secret{}, delegation.Refuse(delegation.TokenRejected, errors.New("the widget's token is missing, or too long"))
	}
	return delegation.NewSecret(token), nil
}

// Redeem implements [delegation.Redeemer]. The platform says for whom its widget was
// opened.
func (p *Provider) Redeem(_ context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	reply, ok, failed := p.platform.exchange(r.Token.Reveal(), ClientSecret)
	switch {
	case failed:
		return nil, delegation.Refuse(delegation.IssuerUnavailable, errors.New("the platform does not answer"))
	case !ok:
		return nil, delegation.Refuse(delegation.TokenRejected, errors.New("the platform refuses the token"))
	case reply.user != r.Secret.Reveal():
		return nil, delegation.Refuse(delegation.TokenRejected, errors.New("the widget was opened for somebody else"))
	}
	return &delegation.ConsentResult{
		Account: reply.account, Secret: delegation.NewSecret(reply.access), Reply: map[string]string{"publicToken": reply.public},
	}, nil
}

// Interface guards
var (
	_ caddyfile.Unmarshaler     = (*Provider)(nil)
	_ caddy.Provisioner         = (*Provider)(nil)
	_ delegation.Provider       = (*Provider)(nil)
	_ delegation.ConsentStarter = (*Provider)(nil)
	_ delegation.Redeemer       = (*Provider)(nil)
)
