// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// SetEnds notes when all grants of some owners at one provider end by themselves; the
// zero time: they do not. changed reports that one had another end. The error is
// [ErrUnavailable].
func (s *Store) SetEnds(ctx context.Context, owners []Owner, ends time.Time) (changed bool, err error) {
	const operation = "noting when grants end"
	if len(owners) == 0 {
		return false, nil
	}
	others := s.endingOtherwise(owners, ends)
	var n int64
	// What changes nothing does not have writers wait.
	err = s.read(ctx, operation, func(ctx context.Context, db querier) error {
		return s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&n) }, append([]any{"SELECT count(*) FROM grants" + others[0].(string)}, others[1:]...)...)
	})
	if err != nil || n == 0 {
		return false, err
	}
	err = s.update(ctx, operation, func(ctx context.Context, db querier) error {
		n, err = s.exec(ctx, db, append([]any{"UPDATE grants SET ends = ", optionalMillis(ends), others[0]}, others[1:]...)...)
		return err
	})
	return n > 0, err
}

// endingOtherwise are the pieces of a condition for the grants of some owners at one
// provider that have another end. It is asked at every request of a person's: the sources
// are in it for the index's sake.
func (s *Store) endingOtherwise(owners []Owner, ends time.Time) []any {
	var sources, persons []string
	for _, o := range owners {
		sources, persons = append(sources, o.Source), append(persons, s.ownerPseudonyms(o)...)
	}
	return []any{" WHERE provider = ", owners[0].Provider, " AND source IN ", sources, " AND ends <> ", optionalMillis(ends), " AND person IN ", persons, ""}
}

// dueOwners returns some owners of a source whose grants have ended by their date, and
// the ids of grants with such a date whose owner cannot be read.
func (s *Store) dueOwners(ctx context.Context, provider, source string, most int) (owners []Owner, damaged []string, err error) {
	const operation = "looking for consents that have ended"
	var rows []*sealedGrant
	var keys map[string][]byte
	if err := s.read(ctx, operation, func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		text, args := s.buildQuery("SELECT "+grantColumns+" FROM grants WHERE provider = ", provider, " AND source = ", source,
			" AND ends > 0 AND ends <= ", millis(now), " ORDER BY ends, id LIMIT ", most, "")
		found, err := db.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		if rows, err = scanGrants(found); err != nil {
			return err
		}
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.rowKey)
		}
		keys, err = s.rowKeys(ctx, db, ids)
		return err
	}); err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		sealed, ok := keys[r.rowKey]
		if !ok {
			continue // it was changed meanwhile: at the next look
		}
		k, err := s.unsealRowKey(r.rowKey, sealed)
		if err == nil {
			err = r.openOwner(k, r.owner)
		}
		if err != nil {
			damaged = append(damaged, r.ID)
			continue
		}
		owners = append(owners, r.Owner)
	}
	return owners, damaged, nil
}

// hasEnded reports whether a grant has ended by its date, by the database's clock. One
// whose end is far off by this machine's clock is not asked for.
func (s *Store) hasEnded(ctx context.Context, g *Grant) (ended bool, err error) {
	if g.Ends.IsZero() || time.Until(g.Ends) > maxClockError {
		return false, nil
	}
	err = s.read(ctx, "asking for the time", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		ended = !now.Before(g.Ends)
		return err
	})
	return ended, err
}

// maxClockError is how wrong a machine's clock may be for [Store.hasEnded].
const maxClockError = time.Hour

// SetEnds notes when a person's grants at these sources of one provider end by
// themselves; the zero time: they do not. The error is a refusal.
func SetEnds(ctx context.Context, all []*Consents, person delegation.Person, ends time.Time) error {
	if len(all) == 0 {
		return nil
	}
	store, err := all[0].store(ctx)
	if err != nil {
		return err
	}
	var owners []Owner
	for _, c := range all {
		owners = append(owners, c.owner(person))
	}
	changed, err := store.SetEnds(ctx, owners, ends)
	if err != nil {
		return refusalOf(err)
	}
	if changed {
		for _, c := range all {
			c.o.Cache.drop(person)
			c.Wake()
		}
	}
	return nil
}
