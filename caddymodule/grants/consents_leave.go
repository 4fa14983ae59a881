// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Leave has the platform end what a person has consented to, where it can be told, and
// does what [Consents.Disconnect] does, whatever the platform says: untold is why it
// may not know that the person has left. It goes on when the caller leaves.
func (c *Consents) Leave(ctx context.Context, person delegation.Person) (untold, err error) {
	ctx = delegation.Detach(ctx)
	if c.o.Revoker != nil {
		untold = c.revoke(ctx, person)
	}
	return untold, c.Disconnect(ctx, person)
}

// freshEnough is the life that an access token has to have left for a platform to be
// told with it.
const freshEnough = time.Minute

// revoke has the platform end the grant that a person has, with a fresh access token
// where it gives one. Nobody spends the refresh token meanwhile.
func (c *Consents) revoke(ctx context.Context, person delegation.Person) error {
	store, err := c.store(ctx)
	if err != nil {
		return err
	}
	g, err := store.Find(ctx, c.owner(person))
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict):
		return nil // there is nothing to tell
	case err != nil:
		return refusalOf(err)
	}
	g = c.freshen(ctx, store, g)
	l, err := c.leaseForRevocation(ctx, store, g)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil // somebody else has ended it
	case err != nil:
		return refusalOf(err)
	}
	defer func() { _ = l.Release(ctx) }() // it is deleted in a moment
	decoded, err := c.decode(l.Grant)
	if err != nil {
		return delegation.Refuse(delegation.GrantsUnavailable, err)
	}
	call, cancel := c.hookContext(ctx)
	defer cancel()
	return c.o.Revoker.RevokeGrant(call, decoded)
}

// freshen returns a grant with an access token that lives, or as it is if the platform
// gives none: what it says to that one decides.
func (c *Consents) freshen(ctx context.Context, store *Store, g *Grant) *Grant {
	ends := g.Tokens.AccessExpires
	if c.o.Refresher == nil || g.Tokens.Refresh.Reveal() == "" || g.State == Active && (ends.IsZero() || time.Until(ends) > freshEnough) {
		return g
	}
	var fresh *Grant
	var err error
	if g.State == Active {
		fresh, err = store.RefreshGrant(ctx, g.Owner, g.Tokens.Access, c.o.CallTimeout, c.refresh)
	} else {
		fresh, err = c.refreshSuspended(ctx, store, g)
	}
	if err != nil {
		return g
	}
	return fresh
}

// leaseForRevocation leases a grant, once whoever is refreshing it is done.
func (c *Consents) leaseForRevocation(ctx context.Context, store *Store, g *Grant) (*Lease, error) {
	wait := newLeaseWait(2 * (c.o.CallTimeout + leaseMargin))
	for {
		l, err := store.Lease(ctx, g, LeaseRevoke, c.o.CallTimeout)
		if !errors.Is(err, ErrLeased) {
			return l, err
		}
		if err := store.awaitLease(ctx, g, wait); err != nil {
			return nil, err
		}
	}
}
