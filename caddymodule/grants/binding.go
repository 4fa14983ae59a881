// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
)

// BindIf binds an owner to an account without any consent and without a secret: to
// the account that the person was first found to have. The binding is a grant, and
// stays until it is deleted, released or moved. still is asked while no other
// writer runs: a lookup from before the end of a binding must not bring it back.
// The error is [ErrNotFound] if still says no, [ErrConflict] if the owner or the
// account is bound otherwise, on whatever machine, [ErrDamaged] or
// [ErrUnavailable].
func (s *Store) BindIf(ctx context.Context, o Owner, account string, still func() bool) error {
	const operation = "binding a person"
	// A binding that is there does not have writers wait.
	err := s.read(ctx, operation, func(ctx context.Context, db querier) error { return s.checkBinding(ctx, db, o, account) })
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.write(ctx, operation, func(ctx context.Context, tx querier) error {
		if err := s.checkBinding(ctx, tx, o, account); !errors.Is(err, ErrNotFound) {
			return err
		}
		if !still() {
			return ErrNotFound
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		return s.insert(ctx, tx, &Grant{ID: newID(), Owner: o, Account: account, State: Active, Created: now, Changed: now})
	})
}

// CheckBinding returns nil if the owner is bound to the account, and the errors of
// [Store.BindIf] otherwise; [ErrNotFound] if neither is bound. It changes nothing.
func (s *Store) CheckBinding(ctx context.Context, o Owner, account string) error {
	return s.read(ctx, "looking for a binding", func(ctx context.Context, db querier) error { return s.checkBinding(ctx, db, o, account) })
}

// checkBinding is [Store.CheckBinding] within a transaction.
func (s *Store) checkBinding(ctx context.Context, db querier, o Owner, account string) error {
	g, err := s.byOwner(ctx, db, o)
	if err == nil && g.Account != account {
		return ErrConflict
	}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if _, err = s.byAccount(ctx, db, o.Provider, o.Source, account); err == nil {
		return ErrConflict
	}
	return err
}

// CountOtherSources counts a provider's grants in use whose source begins with a
// prefix, except those of one source. The error is [ErrUnavailable].
func (s *Store) CountOtherSources(ctx context.Context, provider, source, prefix string) (n int, err error) {
	err = s.read(ctx, "counting other bindings", func(ctx context.Context, db querier) error {
		return s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&n) }, "SELECT count(*) FROM grants WHERE provider = ", provider,
			" AND source <> ", source, " AND substr(source, 1, ", len(prefix), ") = ", prefix, " AND state IN ('active', 'suspended')")
	})
	return n, err
}
