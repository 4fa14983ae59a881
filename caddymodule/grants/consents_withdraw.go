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
	store    *Store
	ended    []EndedGrant
	pending  bool
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
	ended, deleted, err := store.EndByOwner(ctx, owner, c.revocable())
	c.o.Cache.drop(person)
	if err != nil {
		return nil, refusalOf(err)
	}
	return &Withdrawal{HadConsent: deleted > 0 || pending == nil, consents: c, store: store, ended: ended}, nil
}

// revocable is how grants end of which the caller tells the platform, once: it has the
// longest that [Withdrawal.RevokeGrants] may take.
func (c *Consents) revocable() DeleteOptions {
	return DeleteOptions{Revocable: c.o.Revoker != nil, Client: c.o.Client, Term: 2*c.o.CallTimeout + leaseMargin}
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
// on when the caller leaves. The error is why the platform may not know of it; see
// [Withdrawal.IsPending].
func (w *Withdrawal) RevokeGrants(ctx context.Context) error {
	if w.consents.o.Revoker == nil {
		return nil
	}
	// With many former accounts the caller does not wait for many calls that hang.
	ctx, cancel := context.WithTimeout(delegation.Detach(ctx), 2*w.consents.o.CallTimeout)
	defer cancel()
	var untold []error
	for _, e := range w.ended {
		err := e.Err
		if err == nil {
			err = w.consents.revoke(ctx, w.store, e.Revocation)
			w.pending = w.pending || err != nil
		}
		untold = append(untold, err)
	}
	if w.pending {
		w.consents.Wake()
	}
	return errors.Join(untold...)
}

// IsPending reports whether the platform is told by the housekeeping, because
// [Withdrawal.RevokeGrants] could not.
func (w *Withdrawal) IsPending() bool { return w.pending }
