// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A guest may be somebody else's code. It is called by way of the methods here,
// of the provider that it is embedded in: with nothing of the request but its
// end and its trace span, so that a panic fails one call, and so that there is
// a credential or an error.

func init() {
	background.OnPanic(func(p *background.Panic) {
		panicsTotal.Inc()
		// The log of whatever configuration runs: what has panicked may belong
		// to none.
		caddy.Log().Named("delegate").Error("recovered from a panic, which is a fault of this module or of a provider's",
			zap.String("doing", p.Doing), zap.String("type", p.Type), zap.String("functions", p.Stack))
	})
}

// Authorize implements [delegation.Provider].
func (p *provider) Authorize(ctx context.Context, d *delegation.Delegation) (c delegation.Credential, err error) {
	defer background.Recover("authorizing a request", &err)
	return p.given(p.Provider.Authorize(delegation.Attached(ctx), d))
}

// Renew implements [delegation.Provider]. Without the request's values above
// all: reverse_proxy listens to the answers that are made in its context.
func (p *provider) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (c delegation.Credential, err error) {
	defer background.Recover("renewing a credential", &err)
	return p.given(p.Provider.Renew(delegation.Attached(ctx), d, stale))
}

// Forget implements [delegation.Provider] and [tokens.Client].
func (p *provider) Forget(s delegation.Selection) {
	_ = background.Do("forgetting", func() error { p.Provider.Forget(s); return nil })
}

// Mint implements [tokens.Client]. The engine recovers it.
func (p *provider) Mint(ctx context.Context, id delegation.Identity) (*delegation.Token, error) {
	return p.mint(ctx, id)
}

// issueToken is [delegation.TokenIssuer].
func (p *provider) issueToken(ctx context.Context, d *delegation.Delegation, keep func(*delegation.Token) bool) (t *delegation.Token, err error) {
	defer background.Recover("issuing a token", &err)
	t, err = p.Provider.(delegation.TokenIssuer).IssueToken(delegation.Attached(ctx), d, keep)
	if err == nil && (t == nil || t.Access.Reveal() == "") {
		err = noCredential(p.name)
	}
	return t, err
}

// examine is [delegation.Examiner], for a guest that is one.
func (p *provider) examine(ctx context.Context, d *delegation.Delegation, refused delegation.Credential) (found *delegation.Refusal) {
	examiner, ok := p.Provider.(delegation.Examiner)
	if !ok {
		return nil
	}
	_ = background.Do("examining a credential", func() error {
		found = examiner.Examine(delegation.Attached(ctx), d, refused)
		return nil
	})
	return found
}
