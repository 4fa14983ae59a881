// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// connector is a guest that is a [delegation.Connector], called as the others:
// with nothing of the request but its end and its trace span, and recovered.
type connector struct{ guest delegation.Connector }

// connector returns the guest as one, if it is.
func (p *provider) connector() (connector, bool) {
	guest, ok := p.guest.(delegation.Connector)
	return connector{guest}, ok
}

// Depart is [delegation.Connector]'s.
func (c connector) Depart(ctx context.Context, j delegation.Journey) (d *delegation.Departure, err error) {
	defer refused(&err)
	defer background.Recover("beginning a journey", &err)
	d, err = c.guest.Depart(delegation.Attached(ctx), j)
	if err == nil && d == nil {
		err = delegation.Refuse(delegation.NotDelegated, errors.New("the provider returned neither a departure nor an error: its module is at fault"))
	}
	return d, err
}

// Told is [delegation.Connector]'s.
func (c connector) Told(ctx context.Context, r *http.Request) (word delegation.Word, err error) {
	defer refused(&err)
	defer background.Recover("taking what the platform tells", &err)
	return c.guest.Told(delegation.Attached(ctx), r)
}

// Arrive is [delegation.Connector]'s.
func (c connector) Arrive(ctx context.Context, a delegation.Arrival) (first bool, err error) {
	defer refused(&err)
	defer background.Recover("ending a journey", &err)
	return c.guest.Arrive(delegation.Attached(ctx), a)
}

// Consent is [delegation.Connector]'s.
func (c connector) Consent(ctx context.Context, who delegation.Person) (how delegation.Consent, err error) {
	defer refused(&err)
	defer background.Recover("reading a consent", &err)
	return c.guest.Consent(delegation.Attached(ctx), who)
}

// Part is [delegation.Connector]'s.
func (c connector) Part(ctx context.Context, who delegation.Person) (err error) {
	defer refused(&err)
	defer background.Recover("forgetting a consent", &err)
	return c.guest.Part(delegation.Attached(ctx), who)
}
