// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// revoke has the platform end a consent that the caller has leased, with a fresh access
// token where the platform gives one. Nobody else can spend the refresh token: the grant
// is deleted. One whose account is connected again is left alone, which a platform that
// is slow to others leaves much time for. The error is why it may not know of it; it is
// told again then.
func (c *Consents) revoke(ctx context.Context, store *Store, r *Revocation) error {
	term := c.o.CallTimeout + leaseMargin
	held, err := store.holdRevocation(ctx, r, term)
	if err != nil {
		c.o.Revoked(RevocationPending, err)
		return err // another one tells it when the lease lapses
	}
	if !held {
		return nil
	}
	call, cancel := c.hookContext(ctx)
	defer cancel()
	asked, err := c.freshen(call, store, r)
	if asked {
		if held, err := store.holdRevocation(ctx, r, term); err == nil && !held {
			return nil
		}
	}
	if err == nil {
		err = c.tell(call, r.Grant)
	}
	ctx = delegation.Detach(ctx)
	if err == nil {
		// If that fails it is told again when the lease lapses, which changes nothing there.
		_ = store.endRevocation(ctx, r.Grant)
		c.o.Revoked(RevocationDone, nil)
		return nil
	}
	pause := revocationPause(r.Attempts)
	pause += rand.N(pause / 8) //nolint:gosec // a pause, not a secret: not all at the same moment
	_ = store.postponeRevocation(ctx, r, pause)
	if r.Attempts > 1 {
		c.o.Revoked(RevocationPending, nil) // the operator was told why
	} else {
		c.o.Revoked(RevocationPending, err)
	}
	return err
}

// freshEnough is the life that an access token has to have left for a platform to be
// told with it.
const freshEnough = time.Minute

// tell has the platform end a consent.
func (c *Consents) tell(ctx context.Context, g *Grant) error {
	decoded, err := c.decode(g)
	if err != nil {
		return refusalOfDecoding(err)
	}
	return c.o.Revoker.RevokeGrant(ctx, decoded)
}

// freshen gives a revocation an access token that lives, within half of the time that
// telling may take. If the platform does not take the refresh token it stays as it is: what
// it says to that one decides. After any other failure, which is the error, it is not to be
// told now: that an access token has ended is no word of a consent. asked reports that the
// platform was asked for one.
func (c *Consents) freshen(ctx context.Context, store *Store, r *Revocation) (asked bool, err error) {
	g := r.Grant
	ends := g.Tokens.AccessExpires
	if c.o.Refresher == nil || g.Tokens.Refresh.Reveal() == "" || g.State != Suspended && (ends.IsZero() || time.Until(ends) > freshEnough) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.CallTimeout/2)
	defer cancel()
	tokens, err := c.refresh(ctx, g.forProvider(), r.Uncertain)
	switch {
	case err != nil && delegation.AsRefusal(err).Code == delegation.DelegationRefused, err == nil && tokens == nil:
		return true, nil
	case err != nil:
		return true, err
	}
	if spent := g.Tokens; tokens.Refresh.Reveal() == "" {
		tokens.Refresh, tokens.RefreshExpires = spent.Refresh, spent.RefreshExpires
	}
	g.Tokens = *tokens
	_ = store.rotateRevocation(ctx, r, *tokens) // what is told now has them in memory
	return true, nil
}
