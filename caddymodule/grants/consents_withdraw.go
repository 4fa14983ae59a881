// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Withdrawal is what somebody had consented to before they withdrew it: it is deleted
// here, and not yet revoked at the platform.
type Withdrawal struct {
	// HadConsent reports that there was a grant, or a flow under way.
	HadConsent bool

	consents *Consents
	ended    []EndedGrant
}

// Withdraw deletes for good all that a person has consented to, and their flows. Of many
// calls at the same time one has the grants, for [Withdrawal.RevokeGrants]. A refresh that is
// under way is given refreshWait to end; nothing else of the platform's is waited for,
// so that one that hangs keeps nobody connected. It goes on when the caller leaves.
func (c *Consents) Withdraw(ctx context.Context, person delegation.Person) (*Withdrawal, error) {
	ctx = delegation.Detach(ctx)
	store, err := c.store(ctx)
	if err != nil {
		return nil, err
	}
	owner := c.owner(person)
	if c.o.Revoker != nil {
		c.awaitRefresh(ctx, store, owner)
	}
	pending := store.Pending(ctx, owner)
	ended, deleted, err := store.EndByOwner(ctx, owner)
	c.o.Cache.drop(person)
	if err != nil {
		return nil, refusalOf(err)
	}
	return &Withdrawal{HadConsent: deleted > 0 || pending == nil, consents: c, ended: ended}, nil
}

// refreshWait bounds how long a refresh that is under way is waited for.
const refreshWait = 2 * time.Second

// awaitRefresh keeps others from refreshing the grant that is about to be deleted, by
// its lease, which ends with it: the platform could otherwise be told with an access
// token that it has just replaced. Whatever fails, the grant is deleted.
func (c *Consents) awaitRefresh(ctx context.Context, store *Store, o Owner) {
	g, err := store.Find(ctx, o)
	if err != nil || g.Tokens.Refresh.Reveal() == "" {
		return
	}
	wait := newLeaseWait(refreshWait)
	for {
		_, err := store.Lease(ctx, g, LeaseRevoke, refreshWait)
		if !errors.Is(err, ErrLeased) || store.awaitLease(ctx, g, wait) != nil {
			return
		}
	}
}

// RevokeGrants has the platform end what has ended here, where it can be told: also the grants
// of accounts that were connected before. It takes twice CallTimeout at most, and goes
// on when the caller leaves. The error is why the platform may not know of it.
func (w *Withdrawal) RevokeGrants(ctx context.Context) error {
	if w.consents.o.Revoker == nil {
		return nil
	}
	// With many former accounts the caller does not wait for many calls that hang.
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), 2*w.consents.o.CallTimeout)
	defer cancel()
	var untold []error
	for _, e := range w.ended {
		untold = append(untold, w.consents.revoke(ctx, e))
	}
	return errors.Join(untold...)
}

// revoke has the platform end a grant, with a fresh access token where it gives one.
// Nobody else can spend the refresh token: the row is deleted.
func (c *Consents) revoke(ctx context.Context, e EndedGrant) error {
	if e.Err != nil {
		return delegation.Refuse(delegation.GrantsUnavailable, e.Err)
	}
	call, cancel := c.hookContext(ctx)
	defer cancel()
	c.freshen(call, e)
	decoded, err := c.decode(e.Grant)
	if err != nil {
		return delegation.Refuse(delegation.GrantsUnavailable, err)
	}
	return c.o.Revoker.RevokeGrant(call, decoded)
}

// freshEnough is the life that an access token has to have left for a platform to be
// told with it.
const freshEnough = time.Minute

// freshen gives a deleted grant an access token that lives, within half of the time
// that telling may take. If the platform gives none it stays as it is: what it says to
// that one decides.
func (c *Consents) freshen(ctx context.Context, e EndedGrant) {
	g := e.Grant
	ends := g.Tokens.AccessExpires
	if c.o.Refresher == nil || g.Tokens.Refresh.Reveal() == "" || g.State != Suspended && (ends.IsZero() || time.Until(ends) > freshEnough) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.CallTimeout/2)
	defer cancel()
	tokens, err := c.refresh(ctx, g.forProvider(), e.Uncertain)
	if err != nil || tokens == nil {
		return
	}
	if spent := g.Tokens; tokens.Refresh.Reveal() == "" {
		tokens.Refresh, tokens.RefreshExpires = spent.Refresh, spent.RefreshExpires
	}
	g.Tokens = *tokens
}
