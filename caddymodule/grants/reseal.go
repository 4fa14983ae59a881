// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
)

// CountOutdated counts the rows that older keys than the primary one have sealed.
// They have to be sealed anew before these keys are dropped from the keyset. The
// error is [ErrUnavailable].
func (s *Store) CountOutdated(ctx context.Context) (n int, err error) {
	err = s.read(ctx, "counting what older keys sealed", func(ctx context.Context, db querier) error {
		return s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&n) },
			"SELECT (SELECT count(*) FROM grants WHERE sealed_by <> ", s.primaryKeyName(), ") + (SELECT count(*) FROM journeys WHERE sealed_by <> ", s.primaryKeyName(),
			") + (SELECT count(*) FROM people WHERE sealed_by <> ", s.primaryKeyName(),
			") + (SELECT count(*) FROM revocations WHERE sealed_by <> ", s.primaryKeyName(), ")")
	})
	return n, err
}

// Reseal seals everything by the primary key, some rows at a time, and returns how
// many there were. It may be interrupted and begun again, and run beside requests.
// by is the operator, for the record. The error is an [ErrDamaged] that names the
// grant, [ErrUnavailable] or ctx's.
func (s *Store) Reseal(ctx context.Context, by string) (n int, err error) {
	for _, table := range []func(context.Context, querier) (int, error){s.resealGrants, s.resealFlows, s.resealPeople, s.resealRevocations} {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return n, err
			}
			some := 0
			err := s.write(ctx, "sealing anew", func(ctx context.Context, tx querier) (err error) {
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
	return n, s.write(ctx, "sealing anew", func(ctx context.Context, tx querier) error { return s.recordDecision(ctx, tx, actionReseal, "", by) })
}

// outdatedIDs returns the ids of up to 100 rows that an older key has sealed.
func (s *Store) outdatedIDs(ctx context.Context, tx querier, table string) ([]string, error) {
	text, args := s.buildQuery("SELECT id FROM "+table+" WHERE sealed_by <> ", s.primaryKeyName(), " ORDER BY id LIMIT 100")
	return scanStrings(tx.QueryContext(ctx, text, args...))
}

// resealGrants seals some grants anew, and returns how many.
func (s *Store) resealGrants(ctx context.Context, tx querier) (int, error) {
	ids, err := s.outdatedIDs(ctx, tx, "grants")
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		g, err := s.byID(ctx, tx, id)
		if err != nil {
			return 0, fmt.Errorf("%w: grant %s", err, id)
		}
		if err := s.replace(ctx, tx, g, sealChanged); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// resealFlows seals some flows anew, and returns how many. The pseudonyms of their
// tokens stay as they are, because the tokens are not known here: a flow has ended
// before its key is dropped.
func (s *Store) resealFlows(ctx context.Context, tx querier) (int, error) {
	ids, err := s.outdatedIDs(ctx, tx, "journeys")
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		f, err := s.queryFlow(ctx, tx, "SELECT "+flowColumns+" FROM journeys WHERE id = ", id, "")
		switch {
		case err == nil:
			err = s.replaceFlow(ctx, tx, f)
		case errors.Is(err, ErrDamaged):
			// It was altered: nobody can complete it.
			err = s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id = ", id, "")
		}
		if err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// resealRevocations seals some revocations anew, and returns how many.
func (s *Store) resealRevocations(ctx context.Context, tx querier) (int, error) {
	ids, err := s.outdatedIDs(ctx, tx, "revocations")
	if err != nil {
		return 0, err
	}
	return len(ids), s.rewriteRevocations(ctx, tx, ids, func(*Grant) {})
}

// rewriteRevocations changes revocations by f, and seals them anew. One that was altered
// is deleted: the platform cannot be told with it.
func (s *Store) rewriteRevocations(ctx context.Context, tx querier, ids []string, f func(*Grant)) error {
	for _, id := range ids {
		r, err := s.revocation(ctx, tx, "SELECT "+revocationColumns+" FROM revocations WHERE id = ", id, "")
		switch {
		case err == nil:
			f(r.Grant)
			err = s.replaceRevocation(ctx, tx, r)
		case errors.Is(err, ErrDamaged):
			err = s.deleteRows(ctx, tx, "DELETE FROM revocations WHERE id = ", id, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
