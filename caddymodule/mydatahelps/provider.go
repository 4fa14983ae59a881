// SPDX-License-Identifier: Apache-2.0

// Package mydatahelps is the provider for MyDataHelps of CareEvolution: it obtains a
// service token with the operator's service account, finds the participant that a
// signed-in user is, and obtains tokens for that participant.
package mydatahelps

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// Provider is the provider for one account at MyDataHelps. It implements
// [delegation.Provider]. Make it with [New].
type Provider struct {
	config             Config
	upstream           delegation.Upstream
	tokenURL           string
	participants       string // the administrative API's participants of the project
	mappingFingerprint string // see [Config.mappingFingerprint]
	clientAccount      string // client ID and service account, for identities
	keys               *keyring
	traits             delegation.Traits

	host           delegation.Host
	tokens         delegation.Tokens
	cache          *participantCache
	serviceAccount *serviceAccountState
	keyName        string // of the keys in use, see [delegation.KeyRotation]
	client         *http.Client
	bindingStore   *grants.LazyStore // with participant_field; nil if the host has no grants
	checkOnly      bool              // for Check: nobody is bound
	foreignCounted atomic.Bool       // see warnOfForeignBindings
}

// New returns the provider of a configuration, which it checks. It touches neither
// network nor files. Every error begins with the setting's name in the Caddyfile.
func New(config Config) (*Provider, error) {
	base, err := config.check()
	if err != nil {
		return nil, err
	}
	config.BaseURL = base.String()
	return &Provider{
		config:             config,
		upstream:           delegation.UpstreamAt(base),
		tokenURL:           config.BaseURL + "/identityserver/connect/token",
		participants:       config.BaseURL + "/api/v1/administration/projects/" + url.PathEscape(config.Project) + "/participants",
		mappingFingerprint: config.mappingFingerprint(),
		clientAccount:      config.ClientID + " " + config.Account,
		keys:               newKeyring(config.Keys, config.LoadKeys),
		traits: delegation.Traits{
			Scopes:      config.Scopes,
			Routes:      defaultRoutes(),
			Claim:       config.Participant.Claim,
			BaseURL:     config.BaseURL + "/",
			HTTP:        config.HTTP,
			Issuer:      config.BaseURL + "/identityserver/connect/token",
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
	p.host = host
	if keeper, ok := host.(grants.StoreHost); ok && p.config.Participant.By == ByField {
		p.bindingStore = keeper.GrantStore()
	}
	p.retainState(host)
	p.tokens = host.Tokens(p.mint)
	return nil
}

// Authorize implements [delegation.Provider].
func (p *Provider) Authorize(ctx context.Context, d *delegation.Delegation) (delegation.Credential, error) {
	if d.Public {
		return nil, nil
	}
	token, err := p.token(ctx, d)
	if err != nil {
		return nil, err
	}
	return delegation.Bearer{Token: token}, nil
}

// token returns the token of d's participant, whom it finds and sets.
func (p *Provider) token(ctx context.Context, d *delegation.Delegation) (token *delegation.Token, err error) {
	if d.Subject == "" {
		return nil, delegation.Refuse(delegation.SessionRequired, errors.New("nobody is signed in"))
	}
	if d.Participant, err = p.participantID(ctx, d.Person, d.Claim); err != nil {
		return nil, err
	}
	token, d.Cached, err = p.tokens.Get(ctx, p.identity(d))
	if err != nil {
		if r, ok := errors.AsType[*delegation.Refusal](err); ok && r.Code == delegation.DelegationRefused {
			p.cache.recheckRefused(d.Person, d.Claim)
		}
	}
	return token, err
}

// Renew implements [delegation.Provider].
func (p *Provider) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (delegation.Credential, error) {
	bearer, ok := stale.(delegation.Bearer)
	if !ok || d.Public || d.Participant == "" {
		return nil, delegation.Refuse(delegation.NotDelegated, errors.New("there is no credential of this provider to renew"))
	}
	token, err := p.tokens.Renew(ctx, p.identity(d), bearer.Token)
	if err != nil {
		return nil, err
	}
	return delegation.Bearer{Token: token}, nil
}

// IssueToken implements [delegation.TokenIssuer].
func (p *Provider) IssueToken(ctx context.Context, d *delegation.Delegation, keep func(*delegation.Token) bool) (*delegation.Token, error) {
	token, err := p.token(ctx, d)
	if err != nil || !d.Cached || keep(token) {
		return token, err
	}
	fresh, err := p.tokens.Renew(ctx, p.identity(d), token)
	if err != nil && delegation.AsRefusal(err).Status() == http.StatusServiceUnavailable {
		return token, nil // while the issuer is down the token in memory has to do
	}
	return fresh, err
}

// CheckParticipant implements [delegation.ParticipantChecker] by one look-up, whose
// result is kept. The platform has no look-up by ID; with [ByID] a token of d's
// scopes is obtained instead, and kept.
func (p *Provider) CheckParticipant(ctx context.Context, d *delegation.Delegation) (err error) {
	if p.config.Participant.By == ByID {
		_, err = p.token(ctx, d)
		return err
	}
	d.Participant, err = p.participantID(ctx, d.Person, d.Claim)
	return err
}

// Upstream implements [delegation.Provider].
func (p *Provider) Upstream(*delegation.Delegation) delegation.Upstream { return p.upstream }

// Forget implements [delegation.Provider]. It leaves bindings in place: signing out
// and in again must not make a person another participant.
func (p *Provider) Forget(s delegation.Selection) { p.cache.forget(s) }

// Lookups implements [delegation.LookupCounter].
func (p *Provider) Lookups(s delegation.Selection) int {
	return p.cache.hits.CountFunc(func(h *hit) bool { return s.Covers(h.person, h.id) })
}

// Interface guards
var (
	_ delegation.Provider           = (*Provider)(nil)
	_ delegation.TokenIssuer        = (*Provider)(nil)
	_ delegation.ParticipantChecker = (*Provider)(nil)
)
