// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// serviceScope is the only scope of service tokens.
const serviceScope = "api"

// serviceToken returns the operator's own token. cached reports that it was not minted
// by this call.
func (p *Provider) serviceToken(ctx context.Context) (token *delegation.Token, cached bool, err error) {
	return p.tokens.Get(ctx, p.serviceIdentity())
}

func (p *Provider) renewServiceToken(ctx context.Context, stale *delegation.Token) (*delegation.Token, error) {
	return p.tokens.Renew(ctx, p.serviceIdentity(), stale)
}

func (p *Provider) serviceIdentity() delegation.Identity {
	return p.newIdentity(delegation.Person{}, "", []string{serviceScope})
}

// mintService obtains a service token with the key that was accepted last, and with
// the other one if that is refused: while keys are rotated nobody knows which of
// them the platform has.
func (p *Provider) mintService(ctx context.Context) (*delegation.Token, error) {
	keys := p.keys.read(p.host.Logger())
	prints := keyFingerprints(keys)
	p.serviceAccount.Replace(p.keyName, prints...) // they may have replaced others in their files
	first := 0
	if accepted := p.serviceAccount.accepted.Load(); accepted != nil {
		first = max(slices.Index(prints, *accepted), 0)
	}
	token, err := p.requestServiceToken(ctx, keys[first])
	if len(keys) == 2 && isInvalidClient(err) {
		other := 1 - first
		var second error
		if token, second = p.requestServiceToken(ctx, keys[other]); second == nil {
			p.serviceAccount.accepted.Store(&prints[other])
			p.host.Logger().Warn("the platform does not accept one of the two private keys; the other is used from now on, remove the old one when the rotation is over")
			return token, nil
		} else if !isInvalidClient(second) {
			err = second // which says nothing about the other key
		}
	}
	if err != nil {
		return nil, serviceRefusal(err, keys)
	}
	return token, nil
}

func isInvalidClient(err error) bool {
	var failure *oauth.Error
	return errors.As(err, &failure) && failure.Code == "invalid_client"
}

func (p *Provider) requestServiceToken(ctx context.Context, key *rsa.PrivateKey) (*delegation.Token, error) {
	assertion, err := oauth.Assertion(key, p.config.Account, p.tokenURL, oauth.MaxAssertionLifetime)
	if err != nil {
		return nil, err
	}
	return p.tokenClient().Token(ctx, oauth.Request{
		Scopes: []string{serviceScope},
		Params: url.Values{
			"client_assertion_type": {oauth.AssertionType},
			"client_assertion":      {assertion},
		},
	})
}

// serviceRefusal returns the refusal for a service token that was not obtained.
// Whatever the issuer's reason, it concerns the operator, never a participant.
func serviceRefusal(err error, keys []*rsa.PrivateKey) error {
	var failure *oauth.Error
	if !errors.As(err, &failure) {
		return delegation.Refuse(delegation.CredentialsRejected, fmt.Errorf("service token: %w", err))
	}
	r := failure.Refusal()
	code, hint := r.Code, ""
	switch failure.Kind {
	case oauth.ClientRejected, oauth.GrantRefused, oauth.RequestUnsupported:
		code = delegation.CredentialsRejected
		if !failure.ClockSkewed() { // that is the cause: nothing else is to be looked at first
			hint = "; compare service_account and the public key, of SHA-256 " + publicFingerprints(keys) + ", with Designer, and base_url with the host that the project is served at"
		}
	}
	return refuseLike(code, r, fmt.Errorf("service token: %w%s", failure, hint))
}

// publicFingerprints returns the SHA-256 of the keys' public halves, by which an
// operator sees whether the platform has them, for an error's text.
func publicFingerprints(keys []*rsa.PrivateKey) string {
	prints := make([]string, len(keys))
	for i, key := range keys {
		prints[i] = oauth.PublicFingerprint(key)
	}
	return strings.Join(prints, " and ")
}

// refuseLike returns a refusal with the RetryAfter of another one.
func refuseLike(code delegation.Code, r *delegation.Refusal, cause error) *delegation.Refusal {
	wrapped := delegation.Refuse(code, cause)
	wrapped.RetryAfter = r.RetryAfter
	return wrapped
}
