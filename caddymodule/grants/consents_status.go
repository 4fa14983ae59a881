// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Status returns the state of a person's consent. A suspended grant for which it is
// time is probed: "connect again" could be the wrong answer.
func (c *Consents) Status(ctx context.Context, person delegation.Person) (delegation.ConsentStatus, error) {
	status, _, err := c.State(ctx, person)
	return status, err
}

// State returns what [Consents.Status] does, and the grant that it is about, in use
// or suspended, without its decoded value; nil if there is none.
func (c *Consents) State(ctx context.Context, person delegation.Person) (delegation.ConsentStatus, *delegation.Grant, error) {
	store, err := c.store(ctx)
	if err != nil {
		return "", nil, err
	}
	g, err := store.Find(ctx, c.owner(person))
	var grant *delegation.Grant
	if err == nil {
		grant = g.forProvider()
	}
	suspended := err == nil && (g.State != Active || g.Vendor != c.o.Vendor)
	if suspended {
		_, err = c.Get(ctx, person) // joins the calls that probe it
	}
	switch {
	case err == nil:
		return delegation.ConsentConnected, grant, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict):
	case suspended && delegation.AsRefusal(err).Code == delegation.ConsentRequired:
	default:
		return "", nil, refusalOf(err)
	}
	switch pending := store.Pending(ctx, c.owner(person)); {
	case pending == nil:
		return delegation.ConsentPending, grant, nil
	case !errors.Is(pending, ErrNotFound):
		return "", nil, refusalOf(pending)
	case suspended:
		return delegation.ConsentUpdate, grant, nil
	case errors.Is(err, ErrConflict):
		return "", nil, refusalOf(err)
	default:
		return delegation.ConsentNone, nil, nil
	}
}
