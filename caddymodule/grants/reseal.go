// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
)

// Outdated counts what is sealed by older keys than the primary one: it has to
// be sealed anew before they are dropped from the keyset.
func (s *Store) Outdated(ctx context.Context) (n int, err error) {
	err = s.read(ctx, "counting what older keys sealed", func(ctx context.Context, db doer) error {
		return s.row(ctx, db, func(row scanner) error { return row.Scan(&n) },
			"SELECT (SELECT count(*) FROM grants WHERE sealed_by <> ", s.keyName(), ") + (SELECT count(*) FROM journeys WHERE sealed_by <> ", s.keyName(), ")")
	})
	return n, err
}

// Reseal seals everything by the primary key, some rows at a time, and tells
// how many there were. It may be ended and begun again, and run beside
// requests.
func (s *Store) Reseal(ctx context.Context, by string) (n int, err error) {
	for _, table := range []func(context.Context, doer) (int, error){s.resealGrants, s.resealJourneys} {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return n, err
			}
			some := 0
			err := s.write(ctx, "sealing anew", func(ctx context.Context, tx doer) (err error) {
				some, err = table(ctx, tx)
				return err
			})
			if err != nil {
				return n, err
			}
			n += some
			more = some > 0
		}
	}
	return n, s.write(ctx, "sealing anew", func(ctx context.Context, tx doer) error { return s.record(ctx, tx, resealed, "", by) })
}

// outdated are the ids of some rows that an older key sealed.
func (s *Store) outdated(ctx context.Context, tx doer, table string) ([]string, error) {
	text, args := s.sql("SELECT id FROM "+table+" WHERE sealed_by <> ", s.keyName(), " ORDER BY id LIMIT 100")
	return texts(tx.QueryContext(ctx, text, args...))
}

func (s *Store) resealGrants(ctx context.Context, tx doer) (int, error) {
	ids, err := s.outdated(ctx, tx, "grants")
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		g, err := s.byID(ctx, tx, id)
		if err != nil {
			return 0, fmt.Errorf("%w: grant %s", err, id)
		}
		if err := s.replace(ctx, tx, g); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// resealJourneys leaves the names of the tokens, which are not known here: a
// journey is over before its key is dropped.
func (s *Store) resealJourneys(ctx context.Context, tx doer) (int, error) {
	ids, err := s.outdated(ctx, tx, "journeys")
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		r, err := s.oneJourney(ctx, tx, "SELECT "+journeyColumns+" FROM journeys WHERE id = ", id, "")
		switch {
		case err == nil:
			err = s.replaceJourney(ctx, tx, r)
		case errors.Is(err, ErrDamaged):
			// Nobody can end it: it was altered.
			err = s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id = ", id, "")
		}
		if err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}
