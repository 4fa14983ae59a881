// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ReadImport implements [delegation.GrantImporter].
func (p *oauth2Source) ReadImport(i *delegation.GrantImport) (*delegation.ConsentResult, error) {
	c := p.config
	wanted, other := i.Refresh, i.Access
	name := "refresh_token"
	if c.Refresh == RefreshNone {
		wanted, other, name = i.Access, i.Refresh, "access_token"
	}
	switch {
	case wanted.Reveal() == "":
		return nil, fmt.Errorf("%s is missing", name)
	case other.Reveal() != "" || i.AccessSecret.Reveal() != "":
		return nil, fmt.Errorf("there is another token than %s, which is all that this source needs", name)
	}
	if err := checkToken(name, wanted); err != nil {
		return nil, err
	}
	result, err := c.readImport(i)
	if err != nil {
		return nil, err
	}
	if c.Refresh == RefreshNone {
		result.Tokens.Access = i.Access
	} else {
		result.Tokens.Refresh = i.Refresh
	}
	if result.Secret, err = p.sealSecret(i.RedirectURI); err != nil {
		return nil, err
	}
	if needed := result.Secret.Reveal() != ""; needed == (i.RedirectURI == "") {
		if needed {
			return nil, errors.New("redirect_uri is missing: the vendor wants the one of the consent at each refresh")
		}
		return nil, errors.New("redirect_uri is not needed by this source")
	}
	return result, nil
}

// checkToken refuses a token that no request can carry, see [tokenAt].
func checkToken(name string, token delegation.Secret) error {
	_, err := tokenAt(map[string]any{name: token.Reveal()}, name)
	return err
}

// readImport returns the account and the scopes of an import. A vendor that does not say
// whose account it is gets a name for it that nobody else has.
func (c *Config) readImport(i *delegation.GrantImport) (*delegation.ConsentResult, error) {
	result := &delegation.ConsentResult{Account: i.Account, Label: i.Label, Scopes: i.Scopes}
	switch {
	case i.Account == "" && c.Account != nil:
		return nil, errors.New("account is missing: it is the vendor's identifier of the person")
	case i.Account == "":
		result.Account = rand.Text()
	case i.Account == "." || i.Account == ".." || !delegation.IsLine(i.Account, maxAccount):
		return nil, fmt.Errorf("account is no text of at most %d bytes without control characters, or dots alone", maxAccount)
	}
	if i.Label != "" && !delegation.IsLine(i.Label, maxLabel) {
		return nil, fmt.Errorf("label is no text of at most %d bytes without control characters", maxLabel)
	}
	if len(i.Scopes) > 0 && c.hasNoScopes() {
		return nil, errors.New("scopes: grants of this source have none")
	}
	return result, nil
}

// TryImport implements [delegation.GrantImporter].
func (p *oauth2Source) TryImport(ctx context.Context, g *delegation.Grant, _ bool) (*delegation.ConsentResult, error) {
	reply := &tokenReply{tokens: g.Tokens}
	if g.Tokens.Refresh.Reveal() == "" {
		if p.config.probeURL() != nil {
			if err := refusalOfProbe(p.probe(ctx, g)); err != nil {
				return nil, err
			}
		}
	} else {
		var err error
		if reply, err = p.spend(ctx, g); err != nil {
			return nil, err
		}
	}
	f := &finder{
		config: p.config, host: &p.sourceHost, reply: reply, as: bearer(reply.tokens.Access),
		secrets: []delegation.Secret{reply.tokens.Access, reply.tokens.Refresh, p.config.ClientSecret},
	}
	return f.imported(ctx)
}

// refusalOfProbe is the refusal of a token that a probe has not found accepted.
func refusalOfProbe(result delegation.ProbeResult) error {
	switch result {
	case delegation.ProbeAccepted:
		return nil
	case delegation.ProbeRefused:
		return delegation.Refuse(delegation.DelegationRefused, errors.New("the API does not accept the access token"))
	default:
		return delegation.Refuse(delegation.IssuerUnavailable, errors.New("the API does not say whether it accepts the access token"))
	}
}

// imported returns what the vendor says of a grant whose tokens it has accepted. A place
// that only a consent has, such as its redirect, says nothing.
func (f *finder) imported(ctx context.Context) (*delegation.ConsentResult, error) {
	f.redirect = url.Values{}
	result := &delegation.ConsentResult{Tokens: f.reply.tokens}
	value, err := f.find(ctx, f.config.Account)
	if err == nil && value != nil {
		result.Account, err = f.account(ctx)
	}
	if scopes, e := f.granted(ctx); e == nil {
		result.Scopes = scopes
	}
	result.Label, _ = f.label(ctx)
	return result, err
}
