// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// endUnused has the platform end what redeeming has led to, if the flow was deleted
// meanwhile: the person has left, and could not end it any more. err is why the result
// is not used.
func (c *Consents) endUnused(ctx context.Context, store *Store, claimed *ClaimedFlow, result PendingResult, err error) {
	if errors.Is(err, ErrNotFound) {
		c.revokeUnused(ctx, store, claimed.Person, result)
	}
}

// unusedResult returns a result beside an error as the database keeps it.
func (c *Consents) unusedResult(r *delegation.ConsentResult) (PendingResult, error) {
	if r == nil || r.Account == "" {
		return PendingResult{}, ErrNotFound
	}
	return c.pendingResult(r)
}

// revokeUnused has the platform end a consent that has led to nothing here. What the
// person or somebody else has in use of the same account stays: a platform may end all
// consents of an account with one.
func (c *Consents) revokeUnused(ctx context.Context, store *Store, person delegation.Person, result PendingResult) {
	if c.o.Revoker == nil {
		return
	}
	ctx = delegation.Detach(ctx)
	r, err := store.queueUnused(ctx, c.owner(person), result, c.o.CallTimeout+leaseMargin)
	if err != nil || r == nil {
		return // whoever had begun it is told nothing of that
	}
	if c.revoke(ctx, store, r) != nil {
		c.Wake()
	}
}
