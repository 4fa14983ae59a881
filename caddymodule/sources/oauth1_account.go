// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"crypto/rand"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth1"
)

// result returns what the consent has led to. A vendor that does not say whose account
// it is gets a name for it that nobody else has, which stays the person's. It returns
// what was found beside an error as well.
func (p *oauth1Protocol) result(ctx context.Context, r *delegation.Redemption, reply url.Values) (*delegation.ConsentResult, error) {
	res := &delegation.ConsentResult{
		Secret: delegation.NewSecret(reply.Get("oauth_token_secret")),
		Tokens: delegation.GrantTokens{Access: delegation.NewSecret(reply.Get("oauth_token"))},
	}
	members := make(map[string]any, len(reply))
	for name, values := range reply {
		if len(values) == 1 && name != "oauth_token_secret" {
			members[name] = values[0]
		}
	}
	s := &signer{p, oauth1.Token{Value: res.Tokens.Access, Secret: res.Secret}}
	f := &finder{
		config: p.config, host: &p.sourceHost, reply: &tokenReply{tokens: res.Tokens, members: members}, redirect: r.Handed,
		as:      s,
		secrets: []delegation.Secret{res.Tokens.Access, res.Secret, p.config.ClientSecret},
	}
	var err error
	switch {
	case p.config.Account != nil:
		res.Account, err = f.account(ctx)
	case r.Grant != nil:
		res.Account = r.Grant.Account
	default:
		res.Account = rand.Text()
	}
	if err != nil {
		return res, err
	}
	if res.Label, err = f.label(ctx); err != nil {
		return res, err
	}
	if res.Scopes, err = f.granted(ctx); err != nil {
		return res, err
	}
	return res, p.afterConnect(ctx, p.config.AfterConnect, r.Person, p.callValues(res.Tokens.Access, res.Account), p.sendAs(s))
}
