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
	store, err := c.store(ctx)
	if err != nil {
		return "", err
	}
	g, err := store.Find(ctx, c.owner(person))
	suspended := err == nil && g.State != Active
	if suspended {
		_, err = c.Get(ctx, person) // joins the calls that probe it
	}
	switch {
	case err == nil:
		return delegation.ConsentConnected, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict):
	case suspended && delegation.AsRefusal(err).Code == delegation.ConsentRequired:
	default:
		return "", refusalOf(err)
	}
	switch pending := store.Pending(ctx, c.owner(person)); {
	case pending == nil:
		return delegation.ConsentPending, nil
	case !errors.Is(pending, ErrNotFound):
		return "", refusalOf(pending)
	case suspended:
		return delegation.ConsentUpdate, nil
	case errors.Is(err, ErrConflict):
		return "", refusalOf(err)
	default:
		return delegation.ConsentNone, nil
	}
}

// Disconnect deletes for good all that a person has consented to, and their flows.
func (c *Consents) Disconnect(ctx context.Context, person delegation.Person) error {
	store, err := c.store(ctx)
	if err != nil {
		return err
	}
	err = store.DeleteByOwner(ctx, c.owner(person))
	c.o.Cache.drop(person)
	if err != nil {
		return refusalOf(err)
	}
	return nil
}
