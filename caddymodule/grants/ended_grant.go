// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"
)

// DeleteOptions is how the grants of an owner are deleted.
type DeleteOptions struct {
	// Revocable has the platform told: what is deleted is kept as a [Revocation] first.
	Revocable bool
	// Client is that of grants that have none, see [Grant.Client].
	Client string
	// Term is for how long nobody but the caller tells the platform; 0: anybody may.
	Term time.Duration
	// IfDue leaves an owner alone none of whose grants ends by its date yet.
	IfDue bool
}

// EndedGrant is a grant that was deleted because its owner has left, for the platform
// to be told with. Nobody else has it any more.
type EndedGrant struct {
	// Revocation is the grant as it was; nil if Err is set.
	*Revocation
	// Err is why the grant could not be read, an [ErrDamaged]. It is deleted all the
	// same.
	Err error
}

// EndByOwner is [Store.DeleteByOwner] for somebody whose platform is told: it returns
// the grants that have ended, each to one caller only, and how many rows were deleted.
// Those of an account that another grant in use has are not among them: the platform
// could end that one as well.
func (s *Store) EndByOwner(ctx context.Context, o Owner, how DeleteOptions) (ended []EndedGrant, deleted int, err error) {
	err = s.write(ctx, "forgetting a grant", func(ctx context.Context, tx querier) error {
		ended, deleted = nil, 0
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		if how.IfDue {
			if due, err := s.isDue(ctx, tx, o, now); err != nil || !due {
				return err
			}
		}
		if ended, deleted, err = s.endGrants(ctx, tx, o, how); err != nil {
			return err
		}
		staged, err := s.endFlows(ctx, tx, o, how)
		if err != nil {
			return err
		}
		ended = append(ended, staged...)
		if how.Revocable {
			if err := s.queueEnded(ctx, tx, ended, now, how.Term); err != nil {
				return err
			}
		}
		return s.deletePerson(ctx, tx, o.Provider, o.Source, s.ownerPseudonyms(o))
	})
	if err != nil {
		return nil, 0, err
	}
	if !how.IfDue { // nobody waits for the housekeeping
		s.eraseBeforeAnswer(ctx)
	}
	return ended, deleted, nil
}

// isDue reports whether a grant of an owner ends by its date.
func (s *Store) isDue(ctx context.Context, tx querier, o Owner, now time.Time) (bool, error) {
	var id string
	err := s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&id) }, "SELECT id FROM grants WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND ends > 0 AND ends <= ", millis(now), " AND person IN ", s.ownerPseudonyms(o), " LIMIT 1")
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// queueEnded has the platform told of what has ended, by the caller for a term.
func (s *Store) queueEnded(ctx context.Context, tx querier, ended []EndedGrant, now time.Time, term time.Duration) error {
	for _, e := range ended {
		if e.Err != nil {
			continue
		}
		e.Created, e.Due = now, now
		if term > 0 {
			e.Attempts = 1
		}
		if err := s.insertRevocation(ctx, tx, e.Revocation, now.Add(term)); err != nil {
			return err
		}
	}
	return nil
}

// endGrants deletes an owner's grants, with the row keys that open them only after
// they were opened.
func (s *Store) endGrants(ctx context.Context, tx querier, o Owner, how DeleteOptions) (ended []EndedGrant, deleted int, err error) {
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
		g, err := s.openEnded(ctx, tx, r, o, how.Client)
		switch {
		case errors.Is(err, ErrNotFound):
		case errors.Is(err, ErrDamaged):
			ended = append(ended, EndedGrant{Err: err})
		case err == nil:
			ended = append(ended, EndedGrant{Revocation: &Revocation{Grant: g, Uncertain: attempts[i] > 0}})
		default:
			return nil, 0, err
		}
	}
	return ended, len(found), s.deleteRowKeys(ctx, tx, keys...)
}

// openEnded opens a grant whose row is deleted already. The error is [ErrNotFound] if
// another grant in use has its account, as after an operator's release; [ErrDamaged] or
// the database's.
func (s *Store) openEnded(ctx context.Context, tx querier, r *sealedGrant, o Owner, client string) (*Grant, error) {
	g, err := s.openGrant(ctx, tx, r)
	switch {
	case errors.Is(err, errNoRowKey), err == nil && g.Owner != o:
		return nil, ErrDamaged
	case err != nil:
		return nil, err
	}
	if g.Client == "" {
		g.Client = client
	}
	used, err := s.isAccountInUse(ctx, tx, g)
	if err == nil && used {
		err = ErrNotFound
	}
	return g, err
}

// endFlows deletes an owner's flows, and returns what the platform has handed over in
// them and nobody has put into use.
func (s *Store) endFlows(ctx context.Context, tx querier, o Owner, how DeleteOptions) (ended []EndedGrant, err error) {
	of := []any{" FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source, " AND person IN ", s.ownerPseudonyms(o), ""}
	if how.Revocable {
		results, err := s.stagedResults(ctx, tx, of)
		if err != nil {
			return nil, err
		}
		for _, g := range results {
			if used, err := s.isAccountInUse(ctx, tx, g); err != nil {
				return nil, err
			} else if !used && g.Owner == o {
				ended = append(ended, EndedGrant{Revocation: &Revocation{Grant: g}})
			}
		}
	}
	return ended, s.deleteRows(ctx, tx, append([]any{"DELETE" + of[0].(string)}, of[1:]...)...)
}

// stagedResults returns what the platform has handed over in flows that wait for their
// owners, as the grants that they would be. of are the pieces behind SELECT id.
func (s *Store) stagedResults(ctx context.Context, tx querier, of []any) (all []*Grant, err error) {
	pieces := append([]any{"SELECT id, state" + of[0].(string)}, of[1:]...)
	text, args := s.buildQuery(pieces...)
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	var ids []string
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, state string
		if err := rows.Scan(&id, &state); err != nil {
			return nil, err
		}
		if state == flowStaged || state == flowConfirm {
			ids = append(ids, id)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, id := range ids {
		f, err := s.queryFlow(ctx, tx, "SELECT "+flowColumns+" FROM journeys WHERE id = ", id, "")
		switch {
		case err == nil:
			all = append(all, f.unused())
		case !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNotFound):
			return nil, err
		}
	}
	return all, nil
}

// unused returns a flow's result as the grant that it would be.
func (f *storedFlow) unused() *Grant {
	r := f.result
	return PendingResult{
		Account: r.Account, Label: r.Label, Scopes: r.Scopes, Vendor: r.Vendor, Client: r.Client, Secret: secretOf(r.Secret), Tokens: r.Tokens.tokens(),
	}.grant(f.owner)
}
