// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
)

// actionRename is a decision about all grants of a provider, or of one of its sources.
const actionRename = "rename"

// ProviderCount is how many grants, in whatever state, a provider has of a source.
// The source is empty for a provider without sources, and names the project for one
// that binds people.
type ProviderCount struct {
	Provider, Source string
	Grants           int
}

// CountByProvider counts the grants of each provider and source, sorted by name. The
// error is [ErrUnavailable].
func (s *Store) CountByProvider(ctx context.Context) (all []ProviderCount, err error) {
	err = s.read(ctx, "counting grants", func(ctx context.Context, db querier) error {
		all = nil
		rows, err := db.QueryContext(ctx, "SELECT provider, source, count(*) FROM grants GROUP BY provider, source ORDER BY provider, source")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var c ProviderCount
			if err := rows.Scan(&c.Provider, &c.Source, &c.Grants); err != nil {
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

// renaming is a change of the name of a provider, or of one of its sources.
type renaming struct {
	provider string
	source   string // the source's name before; only if ofSource
	ofSource bool
	to       string
}

// where are the pieces of a condition for the rows that have the name.
func (r renaming) where() []any {
	if r.ofSource {
		return []any{" WHERE provider = ", r.provider, " AND source = ", r.source}
	}
	return []any{" WHERE provider = ", r.provider}
}

// apply gives an owner the new name.
func (r renaming) apply(o *Owner) {
	if r.ofSource {
		o.Source = r.to
	} else {
		o.Provider = r.to
	}
}

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
	return s.rename(ctx, renaming{provider: before, to: after}, by)
}

// RenameSource is [Store.Rename] for one source of a provider.
func (s *Store) RenameSource(ctx context.Context, provider, before, after, by string) (n int, err error) {
	if before == after || before == "" || after == "" {
		return 0, errors.New("name two different sources")
	}
	return s.rename(ctx, renaming{provider: provider, source: before, ofSource: true, to: after}, by)
}

func (s *Store) rename(ctx context.Context, to renaming, by string) (n int, err error) {
	for _, table := range []func(ctx context.Context, tx querier, to renaming) (int, error){s.renameGrants, s.renameFlows, s.renamePeople, s.renameRevocations} {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return n, err
			}
			some := 0
			if err := s.write(ctx, "renaming a provider", func(ctx context.Context, tx querier) (err error) {
				some, err = table(ctx, tx, to)
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

// idsToRename returns the ids of up to renameBatch rows that have the old name.
func (s *Store) idsToRename(ctx context.Context, tx querier, table string, to renaming) ([]string, error) {
	pieces := to.where()
	pieces[0] = "SELECT id FROM " + table + pieces[0].(string)
	text, args := s.buildQuery(append(pieces, fmt.Sprintf(" ORDER BY id LIMIT %d", renameBatch))...)
	return scanStrings(tx.QueryContext(ctx, text, args...))
}

// renameGrants renames up to renameBatch grants, and returns how many.
func (s *Store) renameGrants(ctx context.Context, tx querier, to renaming) (int, error) {
	ids, err := s.idsToRename(ctx, tx, "grants", to)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		g, err := s.byID(ctx, tx, id)
		if err != nil {
			return 0, fmt.Errorf("%w: grant %s", err, id)
		}
		to.apply(&g.Owner)
		if g.State == Active || g.State == Suspended {
			if err := s.checkUnbound(ctx, tx, g); err != nil {
				return 0, fmt.Errorf("%w: grant %s", err, id)
			}
		}
		if _, err := s.exec(ctx, tx, "UPDATE grants SET provider = ", g.Provider, ", source = ", g.Source, " WHERE id = ", id, ""); err != nil {
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

// renameFlows renames up to renameBatch flows, and returns how many.
func (s *Store) renameFlows(ctx context.Context, tx querier, to renaming) (int, error) {
	ids, err := s.idsToRename(ctx, tx, "journeys", to)
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
		to.apply(&f.owner)
		f.provider, f.source = f.owner.Provider, f.owner.Source
		if _, err := s.exec(ctx, tx, "UPDATE journeys SET provider = ", f.provider, ", source = ", f.source, " WHERE id = ", id, ""); err != nil {
			return 0, err
		}
		if err := s.replaceFlow(ctx, tx, f); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// renameRevocations renames up to renameBatch revocations, and returns how many.
func (s *Store) renameRevocations(ctx context.Context, tx querier, to renaming) (int, error) {
	ids, err := s.idsToRename(ctx, tx, "revocations", to)
	if err != nil {
		return 0, err
	}
	return len(ids), s.rewriteRevocations(ctx, tx, ids, func(g *Grant) {
		to.apply(&g.Owner)
	})
}
