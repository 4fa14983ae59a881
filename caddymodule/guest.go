// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A guest may be somebody else's code. It is called by way of the methods here
// and in guest_*.go, and by no other, with nothing of the request but its end
// and its trace span: so that a panic fails one call, and so that there is a
// credential or an error.

func init() {
	background.OnPanic(func(p *background.Panic) {
		panicsTotal.Inc()
		// The log of whatever configuration runs: what has panicked may belong
		// to none.
		caddy.Log().Named("delegate").Error("recovered from a panic, which is a fault of this module or of a provider's",
			zap.String("doing", p.Doing), zap.String("type", p.Type), zap.String("functions", p.Stack))
	})
}

// refusePanic answers a panic as what the operator has to mend. It is deferred
// before what recovers, and so runs after it.
func refusePanic(err *error) {
	if fault, ok := errors.AsType[*background.Panic](*err); ok {
		*err = delegation.Refuse(delegation.NotDelegated, fault)
	}
}

// guestType is the guest's type, for keys and messages.
func (p *provider) guestType() string { return fmt.Sprintf("%T", p.guest) }

// kind is the guest's name as a module; empty if it is none.
func (p *provider) kind() string {
	if m, ok := p.guest.(caddy.Module); ok {
		return m.CaddyModule().ID.Name()
	}
	return ""
}

// readTraits asks for the guest's traits.
func (p *provider) readTraits() (err error) {
	defer background.Recover("asking for traits", &err)
	p.traits = p.guest.Traits()
	return nil
}

// openGuest is the guest's Open.
func (p *provider) openGuest() (err error) {
	defer background.Recover("opening a provider", &err)
	return p.guest.Open(p)
}

// Authorize is [delegation.Provider]'s.
func (p *provider) Authorize(ctx context.Context, d *delegation.Delegation) (c delegation.Credential, err error) {
	defer background.Recover("authorizing a request", &err)
	return p.checkedCredential(p.guest.Authorize(delegation.WithoutValues(ctx), d))
}

// Renew is [delegation.Provider]'s. Without the request's values above
// all: reverse_proxy listens to the answers that are made in its context.
func (p *provider) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (c delegation.Credential, err error) {
	defer background.Recover("renewing a credential", &err)
	return p.checkedCredential(p.guest.Renew(delegation.WithoutValues(ctx), d, stale))
}

// Forget implements [tokens.Client].
func (p *provider) Forget(s delegation.Selection) {
	_ = background.Do("forgetting", func() error { p.guest.Forget(s); return nil })
}

// Upstream is [delegation.Provider]'s.
func (p *provider) Upstream(d *delegation.Delegation) (u delegation.Upstream, err error) {
	defer refusePanic(&err)
	defer background.Recover("telling an upstream", &err)
	return p.guest.Upstream(d), nil
}

// Mint implements [tokens.Client]. The engine recovers it.
func (p *provider) Mint(ctx context.Context, id delegation.Identity) (*delegation.Token, error) {
	return p.mint(ctx, id)
}

// canIssueTokens tells whether the guest is a [delegation.TokenIssuer].
func (p *provider) canIssueTokens() bool {
	_, ok := p.guest.(delegation.TokenIssuer)
	return ok
}

// issueToken is [delegation.TokenIssuer], for a guest that is one.
func (p *provider) issueToken(ctx context.Context, d *delegation.Delegation, keep func(*delegation.Token) bool) (t *delegation.Token, err error) {
	defer background.Recover("issuing a token", &err)
	t, err = p.guest.(delegation.TokenIssuer).IssueToken(delegation.WithoutValues(ctx), d, keep)
	if err == nil && (t == nil || t.Access.Reveal() == "") {
		err = missingCredential(p.name)
	}
	return t, err
}

// checkParticipant is [delegation.ParticipantChecker], for a guest that is one.
func (p *provider) checkParticipant(ctx context.Context, d *delegation.Delegation) (err error) {
	checker, ok := p.guest.(delegation.ParticipantChecker)
	if !ok {
		return nil
	}
	defer background.Recover("checking a participant", &err)
	return checker.CheckParticipant(delegation.WithoutValues(ctx), d)
}

// examine is [delegation.Examiner], for a guest that is one.
func (p *provider) examine(ctx context.Context, d *delegation.Delegation, refused delegation.Credential) (found *delegation.Refusal) {
	examiner, ok := p.guest.(delegation.UnauthorizedDiagnoser)
	if !ok {
		return nil
	}
	_ = background.Do("examining a credential", func() error {
		found = examiner.DiagnoseUnauthorized(delegation.WithoutValues(ctx), d, refused)
		return nil
	})
	return found
}

// countLookups is [delegation.LookupCounter], for a guest that is one.
func (p *provider) countLookups(s delegation.Selection) (n int) {
	if counter, ok := p.guest.(delegation.LookupCounter); ok {
		_ = background.Do("counting look-ups", func() error { n = counter.Lookups(s); return nil })
	}
	return n
}

// releaseParticipant ends the binding of a person to their participant, if the guest is a
// [delegation.Releaser] or an [delegation.Unbinder].
func (p *provider) releaseParticipant(ctx context.Context, who delegation.Person) (err error) {
	defer background.Recover("releasing a participant", &err)
	switch guest := p.guest.(type) {
	case delegation.Unbinder:
		return guest.Unbind(ctx, who)
	case delegation.Releaser:
		guest.Release(who)
	}
	return nil
}

// canCheck is whether the guest is a [delegation.Checker].
func (p *provider) canCheck() bool {
	_, ok := p.guest.(delegation.Checker)
	return ok
}

// check is [delegation.Checker], for a guest that is one.
func (p *provider) check(ctx context.Context, q delegation.CheckRequest, tell func(delegation.Finding)) (err error) {
	defer background.Recover("checking a provider", &err)
	p.guest.(delegation.Checker).Check(ctx, q, tell)
	return nil
}
