// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The names of [delegation.ConsentPage.Widget], which the page reads.
const (
	widgetURL          = "widget_url"
	widgetGlobal       = "widget_global"
	widgetToken        = "widget_token"
	widgetClientID     = "clientId"
	widgetClientUserID = "clientUserId"
	widgetPublicToken  = "publicToken"
)

const maxClientUserID = 256 // bytes

// StartConsent implements [delegation.ConsentStarter]: it says how the page opens
// the widget. The platform is asked only for a public token that has been lost.
func (p *Provider) StartConsent(ctx context.Context, flow *delegation.ConsentStart) (*delegation.ConsentPage, error) {
	if flow.Native && p.config.Binding == BindingNone {
		// It posts with neither session nor cookie: nothing at all would tie the
		// account to the person.
		return nil, delegation.Refuse(delegation.RouteDenied, errors.New("a native app cannot connect with binding none: use binding echo or verify"))
	}
	user, err := p.clientUserID(ctx, flow)
	if err != nil {
		return nil, err
	}
	public, err := p.publicToken(ctx, flow.Grant, user, flow.Recover)
	if err != nil {
		return nil, err
	}
	return &delegation.ConsentPage{
		Widget: map[string]string{
			widgetURL:          p.config.WidgetURL,
			widgetGlobal:       p.config.WidgetGlobal,
			widgetToken:        p.config.Names.Token,
			widgetClientID:     p.config.ClientID,
			widgetClientUserID: user,
			widgetPublicToken:  public,
		},
		Secret: delegation.NewSecret(user),
	}, nil
}

// clientUserID returns the identifier by which the platform knows a person.
func (p *Provider) clientUserID(ctx context.Context, flow *delegation.ConsentStart) (string, error) {
	if p.config.ClientUserID == "" {
		return p.grants.PairwiseID(ctx, flow.Person)
	}
	if !delegation.IsLine(flow.Claim, maxClientUserID) {
		return "", delegation.Refuse(delegation.ParticipantUnknown, fmt.Errorf("client_user_id %s is empty for this session, or not 1 to %d bytes without control characters", p.config.ClientUserID, maxClientUserID))
	}
	return flow.Claim, nil
}

// publicToken returns the token by which the widget knows a returning person; empty
// for a new one. If it is not in the grant the platform is asked for it: without,
// the widget would take the person for a new one, with another account. A platform
// that does not know the account any more does take them for a new one. refused
// is for a widget that has not taken the one of the grant: each exchange replaces it,
// also one that was refused here because somebody else had handed the token over. A
// grant that an operator has moved here from another user has that user's, to whom the
// platform's answer would belong.
func (p *Provider) publicToken(ctx context.Context, g *delegation.Grant, user string, refused bool) (string, error) {
	if g == nil {
		return "", nil
	}
	token, err := of(g)
	switch {
	case err != nil:
		token = new(accessToken) // the next consent replaces what cannot be read
	case token.user != user:
		return "", nil
	case token.public != "" && !refused:
		return token.public, nil
	}
	if p.config.PublicTokenURL == "" {
		return "", nil
	}
	secret := p.clientSecret()
	a, err := p.post(ctx, p.config.PublicTokenURL, []field{
		{p.config.Names.Account, g.Account}, {p.config.Names.Client, p.config.ClientID}, {p.config.Names.Secret, secret.Reveal()},
	})
	if err != nil {
		return "", unreachable("public_token_url", err)
	}
	switch r := a.refusal("public_token_url"); {
	case r != nil && r.Code == delegation.TokenRejected:
		p.host.Logger().Info("the platform gives no public token for an account; the widget is opened as for a new user", zap.Int("status", a.status))
		return "", nil
	case r != nil:
		return "", r
	}
	reply, err := a.members()
	if err != nil {
		return "", delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("public_token_url: %w", err))
	}
	public := publicText(reply[p.config.Names.Public], token.access, secret)
	if public == "" {
		return "", delegation.Refuse(delegation.IssuerUnavailable, fmt.Errorf("public_token_url: the answer has no %s", p.config.Names.Public))
	}
	return public, nil
}
