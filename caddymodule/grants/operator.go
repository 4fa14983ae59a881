// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// ForEach calls tell with every grant, the oldest first and without its secret: to
// list or to export whose data is connected. An error of tell ends it and is
// returned. Otherwise the error is [ErrUnavailable], or an [ErrDamaged] that names
// the grant.
func (s *Store) ForEach(ctx context.Context, tell func(*Grant) error) error {
	after, created := "", int64(0)
	for {
		var page []*sealedGrant
		var keys map[string][]byte
		err := s.read(ctx, "listing grants", func(ctx context.Context, db querier) (err error) {
			page, keys, err = s.page(ctx, db, created, after)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range page {
			g, err := s.openListed(ctx, r, keys)
			if errors.Is(err, ErrNotFound) {
				continue // deleted meanwhile
			}
			if err != nil {
				return err
			}
			if err := tell(g); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		last := page[len(page)-1]
		created, after = millis(last.Created), last.ID
	}
}

// pageSize is how many grants are read at once.
const pageSize = 500

// page reads the grants behind one, by creation and id, and their row keys.
func (s *Store) page(ctx context.Context, db querier, created int64, after string) (page []*sealedGrant, keys map[string][]byte, err error) {
	text, args := s.buildQuery("SELECT "+grantColumns+" FROM grants WHERE (created, id) > (", created,
		", ", after, fmt.Sprintf(") ORDER BY created, id LIMIT %d", pageSize))
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, nil, err
	}
	if page, err = scanGrants(rows); err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(page))
	for i, r := range page {
		ids[i] = r.rowKey
	}
	keys, err = s.rowKeys(ctx, db, ids)
	return page, keys, err
}

// openListed opens a grant of a page, without its secret.
func (s *Store) openListed(ctx context.Context, r *sealedGrant, keys map[string][]byte) (*Grant, error) {
	sealed, ok := keys[r.rowKey]
	if !ok { // the row was changed meanwhile
		g, err := s.FindByID(ctx, r.ID)
		if err != nil {
			return nil, fmt.Errorf("%w: grant %s", err, r.ID)
		}
		return g, nil
	}
	k, err := s.unsealRowKey(r.rowKey, sealed)
	if err == nil {
		err = r.openOwner(k, r.owner)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: grant %s", err, r.ID)
	}
	return &r.Grant, nil
}

// FindByID returns a grant without its secret. The error is [ErrNotFound],
// [ErrDamaged] or [ErrUnavailable].
func (s *Store) FindByID(ctx context.Context, id string) (g *Grant, err error) {
	err = s.read(ctx, "looking for a grant", func(ctx context.Context, db querier) (err error) {
		g, err = s.byID(ctx, db, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	g.Secret = delegation.Secret{}
	return g, nil
}

// byID returns a grant with its secret.
func (s *Store) byID(ctx context.Context, db querier, id string) (*Grant, error) {
	return s.queryGrant(ctx, db, "SELECT "+grantColumns+" FROM grants WHERE id = ", id, "")
}

// Release retires a grant, so that another owner may connect its account. Its
// credential is kept. by is the operator, for the record. The error is
// [ErrNotFound], [ErrDamaged] or [ErrUnavailable].
func (s *Store) Release(ctx context.Context, id, by string) error {
	return s.decide(ctx, actionRelease, id, by, func(ctx context.Context, tx querier, g *Grant) error {
		g.State = Retired
		return s.replace(ctx, tx, g, ownerChanged)
	})
}

// Move gives a grant to an owner of the same provider and source, and retires the
// one that this owner had in use. The error is [ErrConflict] while another grant
// has its account in use, which has to be released first; [ErrNotFound],
// [ErrDamaged] or [ErrUnavailable].
func (s *Store) Move(ctx context.Context, id string, to Owner, by string) error {
	return s.decide(ctx, actionMove, id, by, func(ctx context.Context, tx querier, g *Grant) error {
		if to.Provider != g.Provider || to.Source != g.Source {
			return ErrNotFound
		}
		holder, err := s.byAccount(ctx, tx, g.Provider, g.Source, g.Account)
		if err == nil && holder.ID != g.ID {
			return ErrConflict
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if before, err := s.byOwner(ctx, tx, to); err == nil && before.ID != g.ID {
			before.State, before.Changed = Retired, g.Changed
			if err := s.replace(ctx, tx, before, ownerChanged); err != nil {
				return err
			}
		} else if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		g.Owner, g.State = to, Active
		if err := s.dropConflicts(ctx, tx, g); err != nil {
			return err
		}
		if err := s.dropRevocations(ctx, tx, g); err != nil {
			return err
		}
		return s.replace(ctx, tx, g, ownerChanged)
	})
}

// Delete deletes a grant, also one that does not open any more, and the flows that
// hold the same credential, which cannot be had back from the platform; with the
// last grant of a person also their pairwise identifier. The platform is told where that
// is possible, see [Revocation]. The error is [ErrNotFound] or [ErrUnavailable].
func (s *Store) Delete(ctx context.Context, id, by string) error {
	err := s.write(ctx, actionDelete+" of a grant", func(ctx context.Context, tx querier) error {
		var provider, source, person string
		if err := s.queryRow(ctx, tx, func(row scanner) error { return row.Scan(&provider, &source, &person) },
			"SELECT provider, source, person FROM grants WHERE id = ", id, ""); err != nil {
			return err
		}
		persons := []string{person}
		g, err := s.byID(ctx, tx, id)
		if err == nil {
			persons = s.ownerPseudonyms(g.Owner)
		} else if !errors.Is(err, ErrDamaged) {
			return err
		}
		if err := s.deleteAnsweredFlows(ctx, tx, provider, source, persons, ""); err != nil {
			return err
		}
		if err := s.deleteRows(ctx, tx, "DELETE FROM grants WHERE id = ", id, ""); err != nil {
			return err
		}
		if err := s.deletePersonWithoutGrant(ctx, tx, provider, source, persons); err != nil {
			return err
		}
		if g != nil && g.State != Conflict { // whose account is somebody else's
			if err := s.queueRevocation(ctx, tx, g); err != nil {
				return err
			}
		}
		return s.recordDecision(ctx, tx, actionDelete, id, by)
	})
	if err == nil {
		s.eraseBeforeAnswer(ctx)
	}
	return err
}

// deleteAnsweredFlows deletes the flows of some people that have a result, and the ended
// ones: they hold the same credential as the grant, and completing one would undo the operator's
// decision. Open flows go on. The platform is told of results that waited, but for those of
// the account released, which is somebody else's next; empty: none.
func (s *Store) deleteAnsweredFlows(ctx context.Context, tx querier, provider, source string, persons []string, released string) error {
	of := []any{" FROM journeys WHERE provider = ", provider, " AND source = ", source, " AND state IN ('done', 'staged', 'confirm') AND person IN ", persons, ""}
	unused, err := s.stagedResults(ctx, tx, of)
	if err != nil {
		return err
	}
	for _, g := range unused {
		if g.Account == released {
			continue
		}
		if err := s.queueRevocation(ctx, tx, g); err != nil {
			return err
		}
	}
	return s.deleteRows(ctx, tx, append([]any{"DELETE" + of[0].(string)}, of[1:]...)...)
}
