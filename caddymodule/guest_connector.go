// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// guestConnector is the [delegation.Connector] of a provider's module, called
// as [guestModule] describes. A panic becomes the refusal not_delegated.
type guestConnector struct{ guest delegation.Connector }

// connector returns the module's [delegation.Connector]; ok is false if it is
// none, so that its people need not consent.
func (g *guestModule) connector() (c guestConnector, ok bool) {
	return guestConnector{g.consentConnector}, g.consentConnector != nil
}

// BeginConsent calls [delegation.Connector.BeginConsent]. It returns an
// authorization or an error, never neither.
func (c guestConnector) BeginConsent(ctx context.Context, flow delegation.ConsentFlow) (a *delegation.Authorization, err error) {
	defer refusePanic(&err)
	defer background.Recover("beginning a consent flow", &err)
	a, err = c.guest.BeginConsent(delegation.WithoutValues(ctx), flow)
	if err == nil && a == nil {
		err = delegation.Refuse(delegation.NotDelegated, errors.New("the provider returned neither an authorization nor an error: its module is at fault"))
	}
	return a, err
}

// HandleCallback calls [delegation.Connector.HandleCallback].
func (c guestConnector) HandleCallback(ctx context.Context, r *http.Request) (kind delegation.CallbackKind, err error) {
	defer refusePanic(&err)
	defer background.Recover("handling a callback", &err)
	return c.guest.HandleCallback(delegation.WithoutValues(ctx), r)
}

// CompleteConsent calls [delegation.Connector.CompleteConsent].
func (c guestConnector) CompleteConsent(ctx context.Context, returned delegation.Return) (first bool, err error) {
	defer refusePanic(&err)
	defer background.Recover("completing a consent flow", &err)
	return c.guest.CompleteConsent(delegation.WithoutValues(ctx), returned)
}

// ConsentStatus calls [delegation.Connector.ConsentStatus].
func (c guestConnector) ConsentStatus(ctx context.Context, who delegation.Person) (status delegation.ConsentStatus, err error) {
	defer refusePanic(&err)
	defer background.Recover("reading a consent", &err)
	return c.guest.ConsentStatus(delegation.WithoutValues(ctx), who)
}

// Disconnect calls [delegation.Connector.Disconnect].
func (c guestConnector) Disconnect(ctx context.Context, who delegation.Person) (err error) {
	defer refusePanic(&err)
	defer background.Recover("forgetting a consent", &err)
	return c.guest.Disconnect(delegation.WithoutValues(ctx), who)
}
