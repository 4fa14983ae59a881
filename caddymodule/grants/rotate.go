// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ErrReplaced is that the credential which was spent is not the grant's any more,
// such as because its owner has connected anew: what the platform has issued for it
// is dropped.
var ErrReplaced = errors.New("grants: the credential was replaced by another one meanwhile")

// Rotate ends a lease with the tokens that the platform has issued, and returns the
// grant with them. They are stored as long as the spent credential is the grant's,
// also after the lease has lapsed. An empty refresh token leaves the one that is
// there (RFC 6749 section 6), nil scopes likewise. A suspended grant is active
// again, unless it was suspended after the lease was taken.
//
// The error is [ErrReplaced], [ErrNotFound] if the grant was deleted, [ErrDamaged],
// or [ErrUnavailable]: then the tokens are kept in memory, and stored as soon as the
// database takes them.
func (l *Lease) Rotate(ctx context.Context, tokens delegation.GrantTokens, scopes []string) (*Grant, error) {
	g, err := l.rotate(ctx, tokens, scopes)
	if errors.Is(err, ErrUnavailable) {
		l.store.commitLater(l.Grant.ID, func(ctx context.Context) error {
			_, err := l.rotate(ctx, tokens, scopes)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

func (l *Lease) rotate(ctx context.Context, tokens delegation.GrantTokens, scopes []string) (g *Grant, err error) {
	const operation = "storing a refreshed credential"
	err = l.store.writeRow(ctx, operation, func(ctx context.Context, tx querier) (err error) {
		g, err = l.rotateIn(ctx, tx, tokens, scopes)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		err = l.queueIssued(ctx, operation, l.Grant.Account, tokens)
	}
	return g, err
}

// queueIssued has the platform told of the tokens that it has issued for an account when
// the owner of the grant has left meanwhile: they are not used, and stand there until
// then. The error is [ErrNotFound] or [ErrUnavailable].
func (l *Lease) queueIssued(ctx context.Context, operation, account string, tokens delegation.GrantTokens) error {
	if l.Grant.Client == "" {
		return ErrNotFound
	}
	if err := l.store.write(ctx, operation, func(ctx context.Context, tx querier) error {
		ended := *l.Grant
		if tokens.Refresh.Reveal() == "" {
			tokens.Refresh, tokens.RefreshExpires = ended.Tokens.Refresh, ended.Tokens.RefreshExpires
		}
		ended.Account, ended.Tokens = account, tokens
		return l.store.queueRevocation(ctx, tx, &ended)
	}); err != nil {
		return err
	}
	return ErrNotFound
}

// rotateIn is [Lease.Rotate] within a transaction.
func (l *Lease) rotateIn(ctx context.Context, tx querier, tokens delegation.GrantTokens, scopes []string) (*Grant, error) {
	g, err := l.store.byID(ctx, tx, l.Grant.ID)
	if err != nil {
		return nil, err
	}
	spent := l.Grant.Tokens.Refresh
	switch {
	case g.Version == l.Grant.Version:
		g.resume()
	case g.Tokens.Access.Equal(tokens.Access) && (tokens.Refresh.Reveal() == "" || g.Tokens.Refresh.Equal(tokens.Refresh)):
		return g, nil // it was committed, and the word of that was lost
	case spent.Reveal() == "" || !g.Tokens.Refresh.Equal(spent):
		return nil, ErrReplaced
	}
	if tokens.Refresh.Reveal() == "" {
		tokens.Refresh, tokens.RefreshExpires = g.Tokens.Refresh, g.Tokens.RefreshExpires
	}
	g.Tokens = tokens
	if scopes != nil {
		g.Scopes = scopes
	}
	if g.Changed, err = l.store.now(ctx, tx); err != nil {
		return nil, err
	}
	return g, l.store.replace(ctx, tx, g, credentialChanged)
}
