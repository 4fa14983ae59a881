// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Confirmation is a person's decision between the account that they have connected and
// the one that they have come back with.
type Confirmation struct {
	// Person is who is signed in.
	delegation.Person
	// BrowserToken is the token that the browser brings, or Handle that of an app, see
	// [Consents.Finish].
	BrowserToken, Handle string
	// Replace has the new account take the place of the connected one. Otherwise it is
	// dropped.
	Replace bool
}

// returned is the browser of the decision.
func (c *Consents) returned(d Confirmation) Return {
	return Return{Owner: c.owner(d.Person), BrowserToken: d.BrowserToken, Handle: d.Handle}
}

// Waiting returns the account that waits for a person's decision, as the grant that it
// would become; nil if none does. It is shown in the browser that came back with it,
// or the app, alone. Replace is not read.
func (c *Consents) Waiting(ctx context.Context, d Confirmation) (*delegation.Grant, error) {
	store, err := c.store(ctx)
	if err != nil {
		return nil, err
	}
	g, err := store.Waiting(ctx, c.returned(d))
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrForeignFlow):
		return nil, nil
	case err != nil:
		return nil, refusalOf(err)
	default:
		return g.forProvider(), nil
	}
}

// Confirm carries out a person's decision. What ends by it is deleted here: the grant of the
// account that was connected, or the one that they came back with, for
// [Withdrawal.RevokeGrants], also beside an error; nil if nothing ends. An account that anybody has
// in use is spared. The error is flow_expired if nothing waits any more, or something later was
// connected, and account_conflict if the account is somebody else's by now.
func (c *Consents) Confirm(ctx context.Context, d Confirmation) (*Withdrawal, error) {
	ctx = delegation.Detach(ctx)
	store, err := c.store(ctx)
	if err != nil {
		return nil, err
	}
	if d.Replace && c.o.Revoker != nil {
		if _, err := store.Waiting(ctx, c.returned(d)); err == nil {
			c.awaitRefresh(ctx, store, c.owner(d.Person))
		}
	}
	ended, err := store.Decide(ctx, c.returned(d), d.Replace, c.revocable())
	c.o.Cache.drop(d.Person)
	var withdrawn *Withdrawal
	if len(ended) > 0 {
		withdrawn = &Withdrawal{HadConsent: true, consents: c, store: store, ended: ended}
	}
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrForeignFlow):
		return withdrawn, delegation.Refuse(delegation.FlowExpired, errors.New("no account waits for the user's decision in this browser: it took longer than an hour, was decided on already, or something later was connected"))
	case err != nil:
		return withdrawn, refusalOf(err)
	default:
		return withdrawn, nil
	}
}
