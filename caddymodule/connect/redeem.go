// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// OneTimeToken implements [delegation.Redeemer].
func (p *Provider) OneTimeToken(handed url.Values) (delegation.Secret, error) {
	token, err := single(handed, p.config.Names.Token, maxToken)
	switch {
	case err != nil:
		return delegation.Secret{}, err
	case token == "":
		return delegation.Secret{}, rejected(p.config.Names.Token + " is missing")
	}
	return delegation.NewSecret(token), nil
}

// single returns the one value of a field that the browser has brought; empty if
// there is none.
func single(handed url.Values, name string, limit int) (string, error) {
	switch values := handed[name]; {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", rejected(name + " stands more than once")
	case values[0] == "":
		return "", nil
	case !delegation.IsLine(values[0], limit):
		return "", rejected(fmt.Sprintf("%s is longer than %d bytes, or holds what no token has", name, limit))
	default:
		return values[0], nil
	}
}

// rejected is the refusal of what the browser has brought.
func rejected(why string) *delegation.Refusal {
	r := delegation.Refuse(delegation.TokenRejected, errors.New(why))
	r.Expected = true
	return r
}

// openedFor is the field in which connect.js says for whom the widget was opened, by
// the flow's clientUserId.
const openedFor = "opened_for"

// Redeem implements [delegation.Redeemer]. Of what the browser has brought, the
// one-time token goes to the platform, and the fields that the operator allows; its
// client and its user are ignored. If connect.js says for whom the widget was opened,
// that has to be the flow's user, or the token is rejected before the platform is
// asked: somebody else has signed in since. An answer without what is needed leaves the
// outcome open: if the same token is tried again, the platform's next answer says
// whether it is spent.
func (p *Provider) Redeem(ctx context.Context, r *delegation.Redemption) (*delegation.ConsentResult, error) {
	user, err := p.expectedUser(ctx, r)
	if err != nil {
		return nil, err
	}
	if opened, ok := r.Handed[openedFor]; ok && !slices.Equal(opened, []string{user}) {
		return nil, rejected("the widget was opened for another user than the one who is signed in now")
	}
	fields := make([]field, 0, 8)
	for _, name := range p.config.Redeem {
		value, err := single(r.Handed, name, maxAccount)
		if err != nil {
			return nil, err
		}
		if value != "" {
			fields = append(fields, field{name, value})
		}
	}
	secret := p.clientSecret()
	fields = append(fields,
		field{p.config.Names.Token, r.Token.Reveal()}, field{p.config.Names.Client, p.config.ClientID}, field{p.config.Names.Secret, secret.Reveal()})
	a, err := p.post(ctx, p.config.ExchangeURL, fields)
	if err != nil {
		return nil, unreachable("exchange_url", err)
	}
	if r := a.refusal("exchange_url"); r != nil {
		return nil, r
	}
	reply, err := p.readReply(a, secret)
	if err != nil {
		return nil, delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("exchange_url: %w", err))
	}
	if err := p.bind(ctx, reply, user); err != nil {
		return nil, err
	}
	sealed, err := grantSecret{Access: reply.access.Reveal(), Public: reply.public, User: user}.seal()
	if err != nil {
		return nil, err
	}
	result := &delegation.ConsentResult{Account: reply.account, Secret: sealed}
	if reply.public != "" {
		result.Reply = map[string]string{widgetPublicToken: reply.public}
	}
	return result, nil
}

// expectedUser returns the identifier that the widget was opened with.
func (p *Provider) expectedUser(ctx context.Context, r *delegation.Redemption) (string, error) {
	if user := r.Secret.Reveal(); user != "" {
		return user, nil
	}
	if p.config.ClientUserID != "" {
		return "", delegation.Refuse(delegation.FlowExpired, errors.New("the flow does not say as whom the widget was opened"))
	}
	return p.grants.PairwiseID(ctx, r.Person)
}
