// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// clientSecret is documented by the platform and the same for every client: the
// service token in the form is what authenticates.
const clientSecret = "secret"

func (p *Provider) tokenClient() *oauth.Client {
	return &oauth.Client{URL: p.tokenURL, HTTP: p.client}
}

// identity returns the identity of the token for d, whose participant is known.
func (p *Provider) identity(d *delegation.Delegation) delegation.Identity {
	scopes := d.Scopes
	if len(scopes) == 0 {
		scopes = p.config.Scopes
	}
	return p.newIdentity(d.Person, d.Participant, scopes)
}

func (p *Provider) newIdentity(person delegation.Person, participant string, scopes []string) delegation.Identity {
	return delegation.Identity{
		Provider:    p.host.Name(),
		Issuer:      p.tokenURL,
		Client:      p.clientAccount,
		Key:         p.keyName,
		Person:      person,
		Participant: participant,
		Audience:    p.traits.BaseURL,
		Scopes:      scopes,
		Config:      p.mappingFingerprint,
	}
}

// mint implements [delegation.Mint].
func (p *Provider) mint(ctx context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
	if id.IsService() {
		return p.mintService(ctx)
	}
	return p.mintParticipant(ctx, id.Participant, id.Scopes)
}

// mintParticipant obtains a participant's token. The issuer answers invalid_grant for
// a participant whom it refuses and for a service token that has ended alike, so
// that token is renewed once before the refusal is believed.
func (p *Provider) mintParticipant(ctx context.Context, participant string, scopes []string) (*delegation.Token, error) {
	service, cached, err := p.serviceToken(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.requestParticipantToken(ctx, service, participant, scopes)
	var failure *oauth.Error
	if errors.As(err, &failure) && failure.Kind == oauth.GrantRefused && cached && p.cache.refusedGrantRenewals.Allow() {
		if service, err = p.renewServiceToken(ctx, service); err != nil {
			return nil, err
		}
		token, err = p.requestParticipantToken(ctx, service, participant, scopes)
	}
	if errors.As(err, &failure) {
		r, hint := failure.Refusal(), ""
		switch failure.Kind {
		case oauth.ClientRejected, oauth.RequestUnsupported:
			hint = "; check client_id"
		case oauth.ScopeRejected:
			hint = "; asked for " + strings.Join(scopes, " ") + ": compare them with what Designer says that the service account may delegate; `caddy delegate check` tries each by itself"
		}
		return nil, refuseLike(r.Code, r, fmt.Errorf("participant token: %w%s", failure, hint))
	}
	return token, err
}

// requestParticipantToken sends one token request with the platform's own grant type
// delegated_participant.
func (p *Provider) requestParticipantToken(ctx context.Context, service *delegation.Token, participant string, scopes []string) (*delegation.Token, error) {
	return p.tokenClient().Token(ctx, oauth.Request{
		GrantType:    "delegated_participant",
		ClientID:     p.config.ClientID,
		ClientSecret: delegation.NewSecret(clientSecret),
		Scopes:       scopes,
		Params: url.Values{
			"participant_id": {participant},
			"token":          {service.Access.Reveal()},
		},
	})
}
