// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// guestConnector is a guest that is a [delegation.Connector], called as the others:
// with nothing of the request but its end and its trace span, and recovered.
type guestConnector struct{ guest delegation.Connector }

// connector returns the guest as one, if it is.
func (p *provider) connector() (guestConnector, bool) {
	guest, ok := p.guest.(delegation.Connector)
	return guestConnector{guest}, ok
}

// BeginConsent is [delegation.Connector]'s.
func (c guestConnector) BeginConsent(ctx context.Context, j delegation.ConsentFlow) (d *delegation.Authorization, err error) {
	defer refusePanic(&err)
	defer background.Recover("beginning a journey", &err)
	d, err = c.guest.BeginConsent(delegation.WithoutValues(ctx), j)
	if err == nil && d == nil {
		err = delegation.Refuse(delegation.NotDelegated, errors.New("the provider returned neither a departure nor an error: its module is at fault"))
	}
	return d, err
}

// HandleCallback is [delegation.Connector]'s.
func (c guestConnector) HandleCallback(ctx context.Context, r *http.Request) (word delegation.CallbackKind, err error) {
	defer refusePanic(&err)
	defer background.Recover("taking what the platform tells", &err)
	return c.guest.HandleCallback(delegation.WithoutValues(ctx), r)
}

// CompleteConsent is [delegation.Connector]'s.
func (c guestConnector) CompleteConsent(ctx context.Context, a delegation.Return) (first bool, err error) {
	defer refusePanic(&err)
	defer background.Recover("ending a journey", &err)
	return c.guest.CompleteConsent(delegation.WithoutValues(ctx), a)
}

// ConsentStatus is [delegation.Connector]'s.
func (c guestConnector) ConsentStatus(ctx context.Context, who delegation.Person) (how delegation.ConsentStatus, err error) {
	defer refusePanic(&err)
	defer background.Recover("reading a consent", &err)
	return c.guest.ConsentStatus(delegation.WithoutValues(ctx), who)
}

// Disconnect is [delegation.Connector]'s.
func (c guestConnector) Disconnect(ctx context.Context, who delegation.Person) (err error) {
	defer refusePanic(&err)
	defer background.Recover("forgetting a consent", &err)
	return c.guest.Disconnect(delegation.WithoutValues(ctx), who)
}
