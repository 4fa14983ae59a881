// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// endUnused has the platform end what redeeming has led to, if the flow was deleted
// meanwhile: the person has left, and could not end it any more. err is why the result
// is not used. What the person or somebody else has in use of the same account stays: a
// platform may end all consents of an account with one.
func (c *Consents) endUnused(ctx context.Context, store *Store, claimed *ClaimedFlow, result PendingResult, err error) {
	if c.o.Revoker == nil || !errors.Is(err, ErrNotFound) {
		return
	}
	ctx = delegation.Detach(ctx)
	if !errors.Is(store.CheckBinding(ctx, c.owner(claimed.Person), result.Account), ErrNotFound) {
		return
	}
	// Its tokens have just come from the platform.
	g := &delegation.Grant{
		Person: claimed.Person, Source: c.o.Source, Account: result.Account, Label: result.Label, Scopes: result.Scopes,
		Secret: result.Secret, Tokens: result.Tokens,
	}
	if c.o.Decoder != nil {
		if g.Decoded, err = c.o.Decoder.DecodeGrant(g); err != nil {
			return
		}
	}
	call, cancel := c.hookContext(ctx)
	defer cancel()
	_ = c.o.Revoker.RevokeGrant(call, g) // who has left is told nothing of it
}
