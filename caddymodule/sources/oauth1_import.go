// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// ReadImport implements [delegation.GrantImporter].
func (p *oauth1Protocol) ReadImport(i *delegation.GrantImport) (*delegation.ConsentResult, error) {
	switch {
	case i.Access.Reveal() == "" || i.AccessSecret.Reveal() == "":
		return nil, errors.New("access_token or token_secret is missing: OAuth 1.0a signs with both")
	case i.Refresh.Reveal() != "" || i.RedirectURI != "":
		return nil, errors.New("refresh_token and redirect_uri are not of OAuth 1.0a")
	}
	for name, token := range map[string]delegation.Secret{"access_token": i.Access, "token_secret": i.AccessSecret} {
		if err := checkToken(name, token); err != nil {
			return nil, err
		}
	}
	result, err := p.config.readImport(i)
	if err != nil {
		return nil, err
	}
	result.Secret, result.Tokens.Access = i.AccessSecret, i.Access
	return result, nil
}

// TryImport implements [delegation.GrantImporter]. Of a source without an address that
// every token may read the token is not tried before its first use.
func (p *oauth1Protocol) TryImport(ctx context.Context, g *delegation.Grant, _ bool) (*delegation.ConsentResult, error) {
	p.readSecret()
	if p.config.probeURL() != nil {
		if err := refusalOfProbe(p.probe(ctx, g)); err != nil {
			return nil, err
		}
	}
	f := &finder{
		config: p.config, host: &p.sourceHost, reply: &tokenReply{tokens: g.Tokens},
		as:      &signer{p, oauth1.Token{Value: g.Tokens.Access, Secret: g.Secret}},
		secrets: []delegation.Secret{g.Tokens.Access, g.Secret, p.config.ClientSecret},
	}
	return f.imported(ctx)
}
