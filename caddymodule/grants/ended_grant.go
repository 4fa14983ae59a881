// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
)

// EndedGrant is a grant that was deleted because its owner has left, for the platform
// to be told with. Nobody else has it any more.
type EndedGrant struct {
	// Grant is the grant as it was; nil if Err is set.
	Grant *Grant
	// Uncertain reports that somebody may have spent its refresh token.
	Uncertain bool
	// Err is why the grant could not be read, an [ErrDamaged]. It is deleted all the
	// same.
	Err error
}

// EndByOwner is [Store.DeleteByOwner] for somebody whose platform is told: it returns
// the grants that have ended, and the results of flows that wait, each to one caller
// only, and how many grants were deleted. Those of an account that another owner has are not among them: these go on.
func (s *Store) EndByOwner(ctx context.Context, o Owner) (ended []EndedGrant, deleted int, err error) {
	err = s.write(ctx, "forgetting a grant", func(ctx context.Context, tx querier) (err error) {
		if ended, deleted, err = s.endGrants(ctx, tx, o); err != nil {
			return err
		}
		results, err := s.endResults(ctx, tx, o)
		if err != nil {
			return err
		}
		ended = append(ended, results...)
		for _, table := range []string{"journeys", "people"} {
			if err := s.deleteRows(ctx, tx, "DELETE FROM "+table+" WHERE provider = ", o.Provider, " AND source = ", o.Source,
				" AND person IN ", s.ownerPseudonyms(o), ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	s.eraseBeforeAnswer(ctx)
	return ended, deleted, nil
}

// endGrants deletes an owner's grants, with the row keys that open them only after
// they were opened.
func (s *Store) endGrants(ctx context.Context, tx querier, o Owner) (ended []EndedGrant, deleted int, err error) {
	text, args := s.buildQuery("DELETE FROM grants WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND person IN ", s.ownerPseudonyms(o), " RETURNING attempts, "+grantColumns)
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, 0, err
	}
	var attempts []int
	found, err := scanEach(rows, func(row scanner) (*sealedGrant, error) {
		var n int
		r, err := scanGrant(scannerAfter{row, &n})
		attempts = append(attempts, n)
		return r, err
	})
	if err != nil {
		return nil, 0, err
	}
	keys := make([]string, len(found))
	for i, r := range found {
		keys[i] = r.rowKey
		if r.State == Conflict {
			continue
		}
		g, err := s.openEnded(ctx, tx, r, o)
		switch {
		case errors.Is(err, ErrNotFound):
		case err == nil, errors.Is(err, ErrDamaged):
			ended = append(ended, EndedGrant{Grant: g, Uncertain: attempts[i] > 0, Err: err})
		default:
			return nil, 0, err
		}
	}
	return ended, len(found), s.deleteRowKeys(ctx, tx, keys...)
}

// openEnded opens a grant whose row is deleted already. The error is [ErrNotFound] if
// its account is another owner's by now, as after an operator's release; [ErrDamaged]
// or the database's.
func (s *Store) openEnded(ctx context.Context, tx querier, r *sealedGrant, o Owner) (*Grant, error) {
	g, err := s.openGrant(ctx, tx, r)
	switch {
	case errors.Is(err, errNoRowKey), err == nil && g.Owner != o:
		return nil, ErrDamaged
	case err != nil:
		return nil, err
	}
	var other string
	err = s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&other) }, "SELECT id FROM grants WHERE provider = ", g.Provider,
		" AND source = ", g.Source, " AND state IN ('active', 'suspended') AND account IN ", s.accountPseudonyms(g.Provider, g.Source, g.Account), "")
	switch {
	case err == nil:
		return nil, ErrNotFound
	case errors.Is(err, ErrNotFound):
		return g, nil
	default:
		return nil, err
	}
}
