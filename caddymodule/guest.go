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

func init() {
	background.OnPanic(func(p *background.Panic) {
		panicsTotal.Inc()
		// Caddy's own log and no configuration's: what has panicked may outlive
		// the configuration that began it.
		caddy.Log().Named("delegate").Error("recovered from a panic, which is a fault of this module or of a provider's",
			zap.String("doing", p.Doing), zap.String("type", p.Type), zap.String("functions", p.Stack))
	})
}

// guestModule is a provider's module with its optional interfaces, which are
// looked up once, at load; nil where the module does not implement one.
//
// The module may be a third party's code. It is called only by the methods here
// and in guest_*.go, each of which recovers a panic, so that it fails one call
// and not the server. The context of a call has the cancellation and the trace
// span of the request and none of its values: a guest has no use for them, and
// reverse_proxy listens to the responses of requests made in its context.
type guestModule struct {
	providerName string // as configured, for errors
	guest        delegation.Provider

	tokenIssuer        delegation.TokenIssuer
	participantChecker delegation.ParticipantChecker
	diagnoser          delegation.UnauthorizedDiagnoser
	lookupCounter      delegation.LookupCounter
	releaser           delegation.Releaser
	unbinder           delegation.Unbinder
	checker            delegation.Checker
	sourceProvider     delegation.SourceProvider

	guestConsent
}

// newGuestModule looks up the optional interfaces of a provider's module.
func newGuestModule(providerName string, guest delegation.Provider) guestModule {
	g := guestModule{providerName: providerName, guest: guest}
	g.tokenIssuer, _ = guest.(delegation.TokenIssuer)
	g.participantChecker, _ = guest.(delegation.ParticipantChecker)
	g.diagnoser, _ = guest.(delegation.UnauthorizedDiagnoser)
	g.lookupCounter, _ = guest.(delegation.LookupCounter)
	g.releaser, _ = guest.(delegation.Releaser)
	g.unbinder, _ = guest.(delegation.Unbinder)
	g.checker, _ = guest.(delegation.Checker)
	g.sourceProvider, _ = guest.(delegation.SourceProvider)
	g.guestConsent = newGuestConsent(guest)
	return g
}

// refusePanic turns a recovered panic into the refusal not_delegated (500),
// which the operator has to mend. Deferred before [background.Recover], it runs
// after it.
func refusePanic(err *error) {
	if fault, ok := errors.AsType[*background.Panic](*err); ok {
		*err = delegation.Refuse(delegation.NotDelegated, fault)
	}
}

// guestType is the Go type of the module, such as *caddymodule.Mydex. It is
// part of the keys in the pool, and named in errors.
func (g *guestModule) guestType() string { return fmt.Sprintf("%T", g.guest) }

// kind is the last part of the Caddy module's ID, such as mydex; empty if the
// guest is no Caddy module.
func (g *guestModule) kind() string {
	if m, ok := g.guest.(caddy.Module); ok {
		return m.CaddyModule().ID.Name()
	}
	return ""
}

// readTraits calls [delegation.Provider.Traits].
func (g *guestModule) readTraits() (t delegation.Traits, err error) {
	defer background.Recover("asking for traits", &err)
	return g.guest.Traits(), nil
}

// openGuest calls [delegation.Provider.Open].
func (g *guestModule) openGuest(host delegation.Host) (err error) {
	defer background.Recover("opening a provider", &err)
	return g.guest.Open(host)
}

// Authorize calls [delegation.Provider.Authorize]. It returns a credential or
// an error, never neither.
func (g *guestModule) Authorize(ctx context.Context, d *delegation.Delegation) (c delegation.Credential, err error) {
	defer background.Recover("authorizing a request", &err)
	return g.checkedCredential(g.guest.Authorize(delegation.WithoutValues(ctx), d))
}

// Renew calls [delegation.Provider.Renew]. It returns a credential or an error,
// never neither.
func (g *guestModule) Renew(ctx context.Context, d *delegation.Delegation, stale delegation.Credential) (c delegation.Credential, err error) {
	defer background.Recover("renewing a credential", &err)
	return g.checkedCredential(g.guest.Renew(delegation.WithoutValues(ctx), d, stale))
}

// Forget calls [delegation.Provider.Forget].
func (g *guestModule) Forget(s delegation.Selection) {
	_ = background.Do("forgetting", func() error { g.guest.Forget(s); return nil })
}

// Upstream calls [delegation.Provider.Upstream]. Its error is a refusal.
func (g *guestModule) Upstream(d *delegation.Delegation) (u delegation.Upstream, err error) {
	defer refusePanic(&err)
	defer background.Recover("telling an upstream", &err)
	return g.guest.Upstream(d), nil
}

// canIssueTokens reports whether the module is a [delegation.TokenIssuer].
func (g *guestModule) canIssueTokens() bool { return g.tokenIssuer != nil }

// issueToken calls [delegation.TokenIssuer.IssueToken] of a module that
// [guestModule.canIssueTokens]. It returns a token or an error, never neither.
func (g *guestModule) issueToken(ctx context.Context, d *delegation.Delegation, keep func(*delegation.Token) bool) (t *delegation.Token, err error) {
	defer background.Recover("issuing a token", &err)
	t, err = g.tokenIssuer.IssueToken(delegation.WithoutValues(ctx), d, keep)
	if err == nil && (t == nil || t.Access.Reveal() == "") {
		err = missingCredential(g.providerName)
	}
	return t, err
}

// checkParticipant calls [delegation.ParticipantChecker.CheckParticipant]; nil
// if the module has none.
func (g *guestModule) checkParticipant(ctx context.Context, d *delegation.Delegation) (err error) {
	if g.participantChecker == nil {
		return nil
	}
	defer background.Recover("checking a participant", &err)
	return g.participantChecker.CheckParticipant(delegation.WithoutValues(ctx), d)
}

// diagnoseUnauthorized calls
// [delegation.UnauthorizedDiagnoser.DiagnoseUnauthorized]; nil if the module
// has none, or it panics.
func (g *guestModule) diagnoseUnauthorized(ctx context.Context, d *delegation.Delegation, refused delegation.Credential) (found *delegation.Refusal) {
	if g.diagnoser == nil {
		return nil
	}
	_ = background.Do("examining a credential", func() error {
		found = g.diagnoser.DiagnoseUnauthorized(delegation.WithoutValues(ctx), d, refused)
		return nil
	})
	return found
}

// countLookups calls [delegation.LookupCounter.Lookups]; 0 if the module has
// none, or it panics.
func (g *guestModule) countLookups(s delegation.Selection) (n int) {
	if g.lookupCounter == nil {
		return 0
	}
	_ = background.Do("counting look-ups", func() error { n = g.lookupCounter.Lookups(s); return nil })
	return n
}

// releaseParticipant ends the binding of a person to their participant, by
// [delegation.Unbinder.Unbind] or else [delegation.Releaser.Release]. A module
// with neither binds nobody.
func (g *guestModule) releaseParticipant(ctx context.Context, who delegation.Person) (err error) {
	defer background.Recover("releasing a participant", &err)
	switch {
	case g.unbinder != nil:
		return g.unbinder.Unbind(ctx, who)
	case g.releaser != nil:
		g.releaser.Release(who)
	}
	return nil
}

// canCheck reports whether the module is a [delegation.Checker].
func (g *guestModule) canCheck() bool { return g.checker != nil }

// check calls [delegation.Checker.Check] of a module that
// [guestModule.canCheck]. Its error is a panic.
func (g *guestModule) check(ctx context.Context, q delegation.CheckRequest, report func(delegation.Finding)) (err error) {
	defer background.Recover("checking a provider", &err)
	g.checker.Check(ctx, q, report)
	return nil
}
