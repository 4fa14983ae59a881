// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/oauth2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// identity returns what a token depends on. The token is the operator's own, the
// same for every member.
func (p *Provider) identity(scopes []string) delegation.Identity {
	if len(scopes) == 0 {
		scopes = p.config.Scopes
	} else if !slices.Contains(scopes, ScopeAll) {
		// A token for a route has to have it as well.
		scopes = append(slices.Clone(scopes), ScopeAll)
		slices.Sort(scopes)
	}
	return delegation.Identity{
		Provider: p.host.Name(),
		Issuer:   p.config.TokenURL,
		Client:   p.config.clientName(),
		Key:      p.key,
		Audience: p.config.APIURL,
		Scopes:   scopes,
	}
}

// mint gets a service token for the token engine. ID and secret are percent-encoded
// before they are joined by a colon (RFC 6749 section 2.3.1), which the token
// endpoint undoes.
func (p *Provider) mint(ctx context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
	secret := p.config.ClientSecret
	if p.config.LoadSecret != nil {
		if fresh, err := p.config.LoadSecret(); err == nil {
			secret = fresh
			p.keys.Replace(p.key, fresh.Fingerprint("mydex"))
		} else {
			p.host.Logger().Warn("client_secret cannot be read; the one from before is used: " + err.Error())
		}
	}
	issuer := &oauth.Client{URL: p.config.TokenURL, HTTP: p.client}
	token, err := issuer.Token(ctx, oauth.Request{
		ClientID: p.config.ClientID, ClientSecret: secret, AuthStyle: oauth2.AuthStyleInHeader, Scopes: id.Scopes,
	})
	var failure *oauth.Error
	if !errors.As(err, &failure) {
		return token, err
	}
	r, mend := failure.Refusal(), ""
	code := r.Code
	switch failure.Kind {
	case oauth.ClientRejected, oauth.GrantRefused, oauth.RequestUnsupported:
		code, mend = delegation.CredentialsRejected, "; check client_id, client_secret and the environment"
	case oauth.ScopeRejected:
		mend = fmt.Sprintf("; have Mydex add what is missing of %v to the client, or take it out", id.Scopes)
	}
	refusal := delegation.Refuse(code, fmt.Errorf("service token: %w%s", failure, mend))
	refusal.RetryAfter = r.RetryAfter
	return nil, refusal
}
