// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"cmp"
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// importEnd is what becomes of a grant whose token the platform has accepted.
type importEnd int

const (
	importUsed       importEnd = iota // it is in use
	importUnverified                  // not yet: whose account it is could not be asked
	importOther                       // never: it is of another account than was said
)

// reasonOtherAccount is why a token was imported and is not used.
const reasonOtherAccount = "other_account"

// FinishImport ends a lease of an import with what the platform has answered. A grant of
// another account than was said is retired: an operator decides whose it is. An account,
// label and scopes that are empty are those that were there.
//
// The error is [ErrReplaced] if the owner has connected meanwhile; [ErrNotFound] if the
// grant was deleted, and then the platform is told of the new tokens, see [Revocation];
// [ErrDamaged], or [ErrUnavailable]: then the answer is kept in memory, and stored as
// soon as the database takes it.
func (l *Lease) FinishImport(ctx context.Context, r *delegation.ConsentResult, end importEnd) error {
	write := l.store.writeRow
	if end == importOther { // the grant is not in use any more
		write = l.store.write
	}
	const operation = "storing an imported grant"
	finish := func(ctx context.Context) error {
		err := write(ctx, operation, func(ctx context.Context, tx querier) error { return l.finishImportIn(ctx, tx, r, end) })
		if errors.Is(err, ErrNotFound) && end != importUnverified { // of an account that is not known the vendor is not told
			err = l.queueIssued(ctx, operation, cmp.Or(r.Account, l.Grant.Account), r.Tokens)
		}
		return err
	}
	err := finish(ctx)
	if errors.Is(err, ErrUnavailable) {
		l.store.commitLater(l.Grant.ID, finish)
	}
	return err
}

func (l *Lease) finishImportIn(ctx context.Context, tx querier, r *delegation.ConsentResult, end importEnd) error {
	s := l.store
	g, err := s.byID(ctx, tx, l.Grant.ID)
	switch {
	case err != nil:
		return err
	case g.Version == l.Grant.Version:
	case g.Tokens.Access.Equal(r.Tokens.Access) && g.Tokens.Refresh.Equal(r.Tokens.Refresh):
		return nil // it was committed, and the word of that was lost
	default:
		return ErrReplaced
	}
	g.Tokens = r.Tokens
	if r.Label != "" && end != importUnverified { // it may be of somebody else's account
		g.Label = r.Label
	}
	if r.Scopes != nil {
		g.Scopes = r.Scopes
	}
	switch end {
	case importUsed:
		g.resume()
		if err := s.dropRevocations(ctx, tx, g); err != nil { // of an earlier consent: they would end this one
			return err
		}
	case importUnverified:
	case importOther:
		g.Account, g.State, g.SuspendCause = r.Account, Retired, ""
		if err := s.refuseImport(ctx, tx, g.ID, reasonOtherAccount); err != nil {
			return err
		}
	}
	if g.Changed, err = s.now(ctx, tx); err != nil {
		return err
	}
	return s.replace(ctx, tx, g, credentialChanged)
}
