// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"
)

// Bind binds an owner to an account at the platform without any consent and
// without a secret: who somebody was first found to be. It stays until it is
// forgotten, released or moved. The error is [ErrConflict] if the owner or the
// account is bound otherwise, on whatever machine; [ErrDamaged] or
// [ErrUnavailable].
func (s *Store) Bind(ctx context.Context, o Owner, account string) error {
	return s.BindIf(ctx, o, account, func() bool { return true })
}

// BindIf is Pin for who was found to be the account a while ago. still is
// asked when nobody else can write any more; with a no nobody is bound and the
// error is [ErrNone]: what was found out before a binding was ended must not
// bring it back.
func (s *Store) BindIf(ctx context.Context, o Owner, account string, still func() bool) error {
	const doing = "binding a person"
	// Who is bound does not have writers wait.
	err := s.read(ctx, doing, func(ctx context.Context, db querier) error { return s.checkBinding(ctx, db, o, account) })
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	return s.write(ctx, doing, func(ctx context.Context, tx querier) error {
		if err := s.checkBinding(ctx, tx, o, account); !errors.Is(err, ErrNotFound) {
			return err
		}
		if !still() {
			return ErrNotFound
		}
		now := time.Now()
		return s.insert(ctx, tx, &Grant{ID: newID(), Owner: o, Account: account, State: Active, Created: now, Changed: now})
	})
}

// CheckBinding tells what Pin would, and changes nothing: the error is [ErrNone] if
// neither is bound.
func (s *Store) CheckBinding(ctx context.Context, o Owner, account string) error {
	return s.read(ctx, "looking for a binding", func(ctx context.Context, db querier) error { return s.checkBinding(ctx, db, o, account) })
}

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

// CountOtherSources counts a provider's grants in use of other sources than one, whose
// names begin alike.
func (s *Store) CountOtherSources(ctx context.Context, provider, source, alike string) (n int, err error) {
	err = s.read(ctx, "counting other bindings", func(ctx context.Context, db querier) error {
		return s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&n) }, "SELECT count(*) FROM grants WHERE provider = ", provider,
			" AND source <> ", source, " AND substr(source, 1, ", len(alike), ") = ", alike, " AND state IN ('active', 'suspended')")
	})
	return n, err
}
