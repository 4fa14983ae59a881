// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
)

// renamed is a decision about all grants of a provider.
const renamed = "rename"

// Count is how many grants there are of a provider.
type Count struct {
	Provider string
	Grants   int
}

// Providers counts the grants of each provider, by their names.
func (s *Store) Providers(ctx context.Context) (all []Count, err error) {
	err = s.read(ctx, "counting grants", func(ctx context.Context, db doer) error {
		all = nil
		rows, err := db.QueryContext(ctx, "SELECT provider, count(*) FROM grants GROUP BY provider ORDER BY provider")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var c Count
			if err := rows.Scan(&c.Provider, &c.Grants); err != nil {
				return err
			}
			all = append(all, c)
		}
		return rows.Err()
	})
	return all, err
}

// renameAtOnce is how many rows change their provider in one transaction.
const renameAtOnce = 100

// Rename gives all grants and journeys of a provider to another name of it. The
// name is part of what a row is found by, and of what its seal is bound to: so
// each row is sealed anew, by a new key, and the old one does not open any more.
//
// Rows change some at a time, each wholly or not at all. If it is interrupted,
// the rest is still the old name's, and calling it again goes on. The error is
// [ErrConflict] if a person or an account has a grant in use of the new name
// already: an operator has to release or delete one of the two.
func (s *Store) Rename(ctx context.Context, before, after, by string) (n int, err error) {
	if before == after || before == "" || after == "" {
		return 0, errors.New("name two different providers")
	}
	for _, table := range []func(ctx context.Context, tx doer, before, after string) (int, error){s.renameGrants, s.renameJourneys} {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return n, err
			}
			some := 0
			if err := s.write(ctx, "renaming a provider", func(ctx context.Context, tx doer) (err error) {
				some, err = table(ctx, tx, before, after)
				return err
			}); err != nil {
				return n, err
			}
			n += some
			more = some > 0
		}
	}
	if err := s.write(ctx, "renaming a provider", func(ctx context.Context, tx doer) error { return s.record(ctx, tx, renamed, "", by) }); err != nil {
		return n, err
	}
	s.eraseNow(ctx)
	return n, nil
}

// idsOf are the ids of some rows of a provider.
func (s *Store) idsOf(ctx context.Context, tx doer, table, provider string) ([]string, error) {
	text, args := s.sql("SELECT id FROM "+table+" WHERE provider = ", provider, fmt.Sprintf(" ORDER BY id LIMIT %d", renameAtOnce))
	return texts(tx.QueryContext(ctx, text, args...))
}

func (s *Store) renameGrants(ctx context.Context, tx doer, before, after string) (int, error) {
	ids, err := s.idsOf(ctx, tx, "grants", before)
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
			if err := s.free(ctx, tx, g); err != nil {
				return 0, fmt.Errorf("%w: grant %s", err, id)
			}
		}
		if _, err := s.run(ctx, tx, "UPDATE grants SET provider = ", after, " WHERE id = ", id, ""); err != nil {
			return 0, err
		}
		if err := s.replace(ctx, tx, g); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// free is an error if the owner or the account of a grant has another one in use.
func (s *Store) free(ctx context.Context, tx doer, g *Grant) error {
	if _, err := s.held(ctx, tx, g.Owner); err == nil {
		return ErrConflict
	} else if !errors.Is(err, ErrNone) {
		return err
	}
	if _, err := s.holder(ctx, tx, g.Provider, g.Source, g.Account); err == nil {
		return ErrConflict
	} else if !errors.Is(err, ErrNone) {
		return err
	}
	return nil
}

func (s *Store) renameJourneys(ctx context.Context, tx doer, before, after string) (int, error) {
	ids, err := s.idsOf(ctx, tx, "journeys", before)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		r, err := s.oneJourney(ctx, tx, "SELECT "+journeyColumns+" FROM journeys WHERE id = ", id, "")
		if errors.Is(err, ErrDamaged) { // nobody can end it: it was altered
			if err := s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id = ", id, ""); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil {
			return 0, err
		}
		r.provider, r.owner.Provider = after, after
		if _, err := s.run(ctx, tx, "UPDATE journeys SET provider = ", after, " WHERE id = ", id, ""); err != nil {
			return 0, err
		}
		if err := s.replaceJourney(ctx, tx, r); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}
