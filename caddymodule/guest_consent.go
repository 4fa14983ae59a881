// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// guestConsent are the interfaces for consent flows of a module, or of the hooks of
// one of its sources, see consent_provider.go in package delegation; nil where it
// does not implement one.
type guestConsent struct {
	starter        delegation.ConsentStarter
	callbackReader delegation.CallbackReader
	redeemer       delegation.Redeemer
	grantDecoder   delegation.GrantDecoder
	consentProber  delegation.ConsentProber
	grantRevoker   delegation.GrantRevoker
	grantRefresher delegation.GrantRefresher
	grantImporter  delegation.GrantImporter
}

// newGuestConsent looks up the interfaces of a module or of a source's hooks.
func newGuestConsent(hooks any) (g guestConsent) {
	g.starter, _ = hooks.(delegation.ConsentStarter)
	g.callbackReader, _ = hooks.(delegation.CallbackReader)
	g.redeemer, _ = hooks.(delegation.Redeemer)
	g.grantDecoder, _ = hooks.(delegation.GrantDecoder)
	g.consentProber, _ = hooks.(delegation.ConsentProber)
	g.grantRevoker, _ = hooks.(delegation.GrantRevoker)
	g.grantRefresher, _ = hooks.(delegation.GrantRefresher)
	g.grantImporter, _ = hooks.(delegation.GrantImporter)
	return g
}

// needsConsent reports whether the module is a [delegation.ConsentStarter].
func (g *guestConsent) needsConsent() bool { return g.starter != nil }

// canRedeem reports whether the module is a [delegation.Redeemer].
func (g *guestConsent) canRedeem() bool { return g.redeemer != nil }

// canReadCallbacks reports whether the module is a [delegation.CallbackReader].
func (g *guestConsent) canReadCallbacks() bool { return g.callbackReader != nil }

// endsInPage reports whether what people consent in is a widget: it hands something
// over to the page that has opened it, which alone has the flow's browser token. A
// flow of another device would have nobody who can end it.
func (g *guestConsent) endsInPage() bool { return g.canRedeem() && !g.canReadCallbacks() }

// setHooks sets those hooks of consent flows that the module implements. Each is
// called as [guestModule] describes; a panic becomes the refusal not_delegated.
func (g *guestConsent) setHooks(o *grants.ConsentsOptions) {
	if g.starter != nil {
		o.Starter = guestStarter{g.starter}
	}
	if g.callbackReader != nil {
		o.Callbacks = guestCallbackReader{g.callbackReader}
	}
	if g.redeemer != nil {
		o.Redeemer = guestRedeemer{g.redeemer}
	}
	if g.grantDecoder != nil {
		o.Decoder = guestDecoder{g.grantDecoder}
	}
	if g.consentProber != nil {
		o.Prober = guestProber{g.consentProber}
	}
	if g.grantRefresher != nil {
		o.Refresher = guestRefresher{g.grantRefresher}
	}
	if g.grantImporter != nil {
		o.Importer = guestImporter{g.grantImporter}
	}
	if g.canRevoke() {
		o.Revoker = guestRevoker{g}
	}
}

// guestStarter is the [delegation.ConsentStarter] of a module.
type guestStarter struct{ guest delegation.ConsentStarter }

// StartConsent returns a page or an error, never neither.
func (g guestStarter) StartConsent(ctx context.Context, flow *delegation.ConsentStart) (page *delegation.ConsentPage, err error) {
	defer refusePanic(&err)
	defer background.Recover("beginning a consent flow", &err)
	page, err = g.guest.StartConsent(delegation.WithoutValues(ctx), flow)
	if err == nil && page == nil {
		err = errNothingReturned
	}
	return page, err
}

// guestCallbackReader is the [delegation.CallbackReader] of a module.
type guestCallbackReader struct{ guest delegation.CallbackReader }

// ReadCallback returns a callback or an error, never neither.
func (g guestCallbackReader) ReadCallback(ctx context.Context, r *http.Request) (callback *delegation.Callback, err error) {
	defer refusePanic(&err)
	defer background.Recover("reading a callback", &err)
	ctx = delegation.WithoutValues(ctx)
	callback, err = g.guest.ReadCallback(ctx, r.WithContext(ctx))
	if err == nil && callback == nil {
		err = errNothingReturned
	}
	return callback, err
}

// guestRedeemer is the [delegation.Redeemer] of a module.
type guestRedeemer struct{ guest delegation.Redeemer }

// OneTimeToken calls the module's.
func (g guestRedeemer) OneTimeToken(handed url.Values) (token delegation.Secret, err error) {
	defer refusePanic(&err)
	defer background.Recover("reading a one-time token", &err)
	return g.guest.OneTimeToken(handed)
}

// Redeem returns a result or an error, never neither.
func (g guestRedeemer) Redeem(ctx context.Context, r *delegation.Redemption) (result *delegation.ConsentResult, err error) {
	defer refusePanic(&err)
	defer background.Recover("redeeming a one-time token", &err)
	result, err = g.guest.Redeem(delegation.WithoutValues(ctx), r) // both: see there
	if err == nil && result == nil {
		err = errNothingReturned
	}
	return result, err
}

// guestDecoder is the [delegation.GrantDecoder] of a module.
type guestDecoder struct{ guest delegation.GrantDecoder }

// DecodeGrant calls the module's.
func (g guestDecoder) DecodeGrant(stored *delegation.Grant) (value any, err error) {
	defer background.Recover("decoding a grant", &err)
	return g.guest.DecodeGrant(stored)
}

// guestProber is the [delegation.ConsentProber] of a module.
type guestProber struct{ guest delegation.ConsentProber }

// ProbeGrant calls the module's. A panic says nothing of the grant.
func (g guestProber) ProbeGrant(ctx context.Context, stored *delegation.Grant) delegation.ProbeResult {
	result := delegation.ProbeUnknown
	_ = background.Do("probing a grant", func() error {
		result = g.guest.ProbeGrant(delegation.WithoutValues(ctx), stored)
		return nil
	})
	return result
}

// guestRefresher is the [delegation.GrantRefresher] of a module.
type guestRefresher struct{ guest delegation.GrantRefresher }

// RefreshGrant returns tokens or an error, never neither.
func (g guestRefresher) RefreshGrant(ctx context.Context, stored *delegation.Grant, uncertain bool) (tokens *delegation.GrantTokens, err error) {
	defer refusePanic(&err)
	defer background.Recover("refreshing a grant", &err)
	tokens, err = g.guest.RefreshGrant(delegation.WithoutValues(ctx), stored, uncertain)
	if err == nil && tokens == nil {
		err = errNothingReturned
	}
	return tokens, err
}

// guestImporter is the [delegation.GrantImporter] of a module.
type guestImporter struct{ guest delegation.GrantImporter }

// ReadImport returns a grant or an error, never neither.
func (g guestImporter) ReadImport(i *delegation.GrantImport) (result *delegation.ConsentResult, err error) {
	defer background.Recover("reading an import", &err)
	result, err = g.guest.ReadImport(i)
	if err == nil && result == nil {
		err = errNothingReturned
	}
	return result, err
}

// TryImport returns a result or an error, never neither.
func (g guestImporter) TryImport(ctx context.Context, stored *delegation.Grant, uncertain bool) (result *delegation.ConsentResult, err error) {
	defer refusePanic(&err)
	defer background.Recover("trying an import", &err)
	result, err = g.guest.TryImport(delegation.WithoutValues(ctx), stored, uncertain)
	if err == nil && result == nil {
		err = errNothingReturned
	}
	return result, err
}

// canRevoke reports whether the platform can be told that its user has left: by a
// [delegation.GrantRevoker].
func (g *guestConsent) canRevoke() bool { return g.grantRevoker != nil }

// revokeGrant calls [delegation.GrantRevoker.RevokeGrant] of hooks that
// [guestConsent.canRevoke].
func (g *guestConsent) revokeGrant(ctx context.Context, stored *delegation.Grant) (err error) {
	defer refusePanic(&err)
	defer background.Recover("revoking a grant", &err)
	return g.grantRevoker.RevokeGrant(delegation.WithoutValues(ctx), stored)
}

// guestRevoker is the [delegation.GrantRevoker] of a module.
type guestRevoker struct{ guest *guestConsent }

// RevokeGrant calls the module's.
func (g guestRevoker) RevokeGrant(ctx context.Context, stored *delegation.Grant) error {
	return g.guest.revokeGrant(ctx, stored)
}

// errNothingReturned refuses a call for which a module returned neither a result
// nor an error, with not_delegated.
var errNothingReturned = delegation.Refuse(delegation.NotDelegated, errors.New("the provider returned neither a result nor an error: its module is at fault"))
