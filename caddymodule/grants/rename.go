// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
)

// actionRename is a decision about all grants of a provider.
const actionRename = "rename"

// ProviderCount is how many grants, in whatever state, a provider has.
type ProviderCount struct {
	Provider string
	Grants   int
}

// CountByProvider counts the grants of each provider, sorted by name. The error is
// [ErrUnavailable].
func (s *Store) CountByProvider(ctx context.Context) (all []ProviderCount, err error) {
	err = s.read(ctx, "counting grants", func(ctx context.Context, db querier) error {
		all = nil
		rows, err := db.QueryContext(ctx, "SELECT provider, count(*) FROM grants GROUP BY provider ORDER BY provider")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var c ProviderCount
			if err := rows.Scan(&c.Provider, &c.Grants); err != nil {
				return err
			}
			all = append(all, c)
		}
		return rows.Err()
	})
	return all, err
}

// renameBatch is how many rows change their provider in one transaction.
const renameBatch = 100

// Rename gives all grants, flows and pairwise identifiers of a provider to another
// name of it, and returns how many there were. The provider's name is part of the pseudonyms that
// rows are found by, and of what their seals are bound to: so each row is sealed
// anew, by a new row key, and the old one does not open any more.
//
// Rows change some at a time, each wholly or not at all. After an interruption the
// rest still has the old name, and calling Rename again goes on. The error is
// [ErrConflict] if a person or an account has a grant in use of the new name
// already: an operator has to release or delete one of the two. Others are
// [ErrDamaged], with the grant, and [ErrUnavailable].
func (s *Store) Rename(ctx context.Context, before, after, by string) (n int, err error) {
	if before == after || before == "" || after == "" {
		return 0, errors.New("name two different providers")
	}
	for _, table := range []func(ctx context.Context, tx querier, before, after string) (int, error){s.renameGrants, s.renameFlows, s.renamePeople} {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return n, err
			}
			some := 0
			if err := s.write(ctx, "renaming a provider", func(ctx context.Context, tx querier) (err error) {
				some, err = table(ctx, tx, before, after)
				return err
			}); err != nil {
				return n, err
			}
			n += some
			more = some > 0
		}
	}
	if err := s.write(ctx, "renaming a provider", func(ctx context.Context, tx querier) error { return s.recordDecision(ctx, tx, actionRename, "", by) }); err != nil {
		return n, err
	}
	s.eraseBeforeAnswer(ctx)
	return n, nil
}

// idsOfProvider returns the ids of up to renameBatch rows of a provider.
func (s *Store) idsOfProvider(ctx context.Context, tx querier, table, provider string) ([]string, error) {
	text, args := s.buildQuery("SELECT id FROM "+table+" WHERE provider = ", provider, fmt.Sprintf(" ORDER BY id LIMIT %d", renameBatch))
	return scanStrings(tx.QueryContext(ctx, text, args...))
}

// renameGrants renames the provider of up to renameBatch grants, and returns of how
// many.
func (s *Store) renameGrants(ctx context.Context, tx querier, before, after string) (int, error) {
	ids, err := s.idsOfProvider(ctx, tx, "grants", before)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		g, err := s.byID(ctx, tx, id)
		if err != nil {
			return 0, fmt.Errorf("%w: grant %s", err, id)
		}
		g.Provider = after
		if g.State == Active || g.State == Suspended {
			if err := s.checkUnbound(ctx, tx, g); err != nil {
				return 0, fmt.Errorf("%w: grant %s", err, id)
			}
		}
		if _, err := s.exec(ctx, tx, "UPDATE grants SET provider = ", after, " WHERE id = ", id, ""); err != nil {
			return 0, err
		}
		if err := s.replace(ctx, tx, g, ownerChanged); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// checkUnbound is an [ErrConflict] if the owner or the account of a grant has
// another one in use.
func (s *Store) checkUnbound(ctx context.Context, tx querier, g *Grant) error {
	if _, err := s.byOwner(ctx, tx, g.Owner); err == nil {
		return ErrConflict
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	if _, err := s.byAccount(ctx, tx, g.Provider, g.Source, g.Account); err == nil {
		return ErrConflict
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// renameFlows renames the provider of up to renameBatch flows, and returns of how
// many.
func (s *Store) renameFlows(ctx context.Context, tx querier, before, after string) (int, error) {
	ids, err := s.idsOfProvider(ctx, tx, "journeys", before)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		f, err := s.queryFlow(ctx, tx, "SELECT "+flowColumns+" FROM journeys WHERE id = ", id, "")
		if errors.Is(err, ErrDamaged) { // it was altered: nobody can complete it
			if err := s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id = ", id, ""); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil {
			return 0, err
		}
		f.provider, f.owner.Provider = after, after
		if _, err := s.exec(ctx, tx, "UPDATE journeys SET provider = ", after, " WHERE id = ", id, ""); err != nil {
			return 0, err
		}
		if err := s.replaceFlow(ctx, tx, f); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}
