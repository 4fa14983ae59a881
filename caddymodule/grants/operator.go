// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Each tells every grant, the oldest first, without its secret: to show or to
// export whose data is connected. An error of tell ends it.
func (s *Store) Each(ctx context.Context, tell func(*Grant) error) error {
	after, created := "", int64(0)
	for {
		var page []*Grant
		err := s.read(ctx, "listing grants", func(ctx context.Context, db doer) (err error) {
			page, err = s.page(ctx, db, created, after)
			return err
		})
		if err != nil {
			return err
		}
		for _, g := range page {
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

const pageSize = 500

func (s *Store) page(ctx context.Context, db doer, created int64, after string) ([]*Grant, error) {
	text, args := s.sql("SELECT id, provider, source, state, owner, sealed_by, created, changed FROM grants WHERE (created, id) > (", created,
		", ", after, fmt.Sprintf(") ORDER BY created, id LIMIT %d", pageSize))
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var page []*Grant
	for rows.Next() {
		g := new(Grant)
		var owner []byte
		var created, changed int64
		if err := rows.Scan(&g.ID, &g.Provider, &g.Source, &g.State, &owner, &g.sealedBy, &created, &changed); err != nil {
			return nil, err
		}
		g.Created, g.Changed = time.UnixMilli(created), time.UnixMilli(changed)
		if err := s.openOwner(g, owner); err != nil {
			return nil, fmt.Errorf("%w: grant %s", err, g.ID)
		}
		page = append(page, g)
	}
	return page, rows.Err()
}

// Lookup tells one grant, without its secret. The error is [ErrNone],
// [ErrDamaged] or [ErrUnavailable].
func (s *Store) Lookup(ctx context.Context, id string) (g *Grant, err error) {
	err = s.read(ctx, "looking for a grant", func(ctx context.Context, db doer) (err error) {
		g, err = s.byID(ctx, db, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	g.Secret = delegation.Secret{}
	return g, nil
}

// byID is a grant that an operator names.
func (s *Store) byID(ctx context.Context, db doer, id string) (*Grant, error) {
	return s.grant(ctx, db, "SELECT "+grantColumns+" FROM grants WHERE id = ", id, "")
}

// Release ends a grant's hold on its account, which somebody else may connect
// then. What it holds is kept. by is who decided, for the record.
func (s *Store) Release(ctx context.Context, id, by string) error {
	return s.decide(ctx, released, id, by, func(ctx context.Context, tx doer, g *Grant) error {
		g.State, g.Changed = Retired, time.Now()
		return s.replace(ctx, tx, g)
	})
}

// Move gives a grant to an owner of the same provider and source, whose only
// one it becomes. The error is [ErrConflict] while another grant holds its
// account: release that first.
func (s *Store) Move(ctx context.Context, id string, to Owner, by string) error {
	return s.decide(ctx, moved, id, by, func(ctx context.Context, tx doer, g *Grant) error {
		if to.Provider != g.Provider || to.Source != g.Source {
			return ErrNone
		}
		holder, err := s.holder(ctx, tx, g.Provider, g.Source, g.Account)
		if err == nil && holder.ID != g.ID {
			return ErrConflict
		}
		if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		if before, err := s.held(ctx, tx, to); err == nil && before.ID != g.ID {
			before.State, before.Changed = Retired, time.Now()
			if err := s.replace(ctx, tx, before); err != nil {
				return err
			}
		} else if err != nil && !errors.Is(err, ErrNone) {
			return err
		}
		g.Owner, g.State, g.Changed = to, Active, time.Now()
		if err := s.settle(ctx, tx, g); err != nil {
			return err
		}
		return s.replace(ctx, tx, g)
	})
}

// Delete deletes a grant, also one that cannot be opened any more, and what was
// staged for it. What it holds cannot be had back from the platform.
func (s *Store) Delete(ctx context.Context, id, by string) error {
	return s.write(ctx, deleted+" of a grant", func(ctx context.Context, tx doer) error {
		var provider, source, person string
		if err := s.row(ctx, tx, func(row scanner) error { return row.Scan(&provider, &source, &person) },
			"SELECT provider, source, person FROM grants WHERE id = ", id, ""); err != nil {
			return err
		}
		persons := []string{person}
		if g, err := s.byID(ctx, tx, id); err == nil {
			persons = s.persons(g.Owner)
		} else if !errors.Is(err, ErrDamaged) {
			return err
		}
		if err := s.endJourneys(ctx, tx, provider, source, persons); err != nil {
			return err
		}
		if _, err := s.run(ctx, tx, "DELETE FROM grants WHERE id = ", id, ""); err != nil {
			return err
		}
		return s.record(ctx, tx, deleted, id, by)
	})
}

// endJourneys deletes the journeys that hold the same as a grant: that which it
// came from, and any whose end would undo what the operator decides. One that
// the platform has told nothing of goes on.
func (s *Store) endJourneys(ctx context.Context, tx doer, provider, source string, persons []string) error {
	_, err := s.run(ctx, tx, "DELETE FROM journeys WHERE provider = ", provider, " AND source = ", source,
		" AND state IN ('done', 'staged') AND person IN ", persons, "")
	return err
}

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

// ids are some rows that an older key sealed.
func (s *Store) outdated(ctx context.Context, tx doer, table string) ([]string, error) {
	text, args := s.sql("SELECT id FROM "+table+" WHERE sealed_by <> ", s.keyName(), " ORDER BY id LIMIT 100")
	rows, err := tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
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
		r := &record{id: id}
		var owner, staged []byte
		if err := s.row(ctx, tx, func(row scanner) error {
			return row.Scan(&r.provider, &r.source, &r.link, &r.back, &r.browser, &r.state, &owner, &staged)
		},
			"SELECT provider, source, link, back, browser, state, owner, staged FROM journeys WHERE id = ", id, ""); err != nil {
			return 0, err
		}
		var who identity
		if s.openJSON(owner, &who, r.ownerPlace()...) != nil {
			// Nobody can end it: it was altered, or begun by an older program.
			if _, err := s.run(ctx, tx, "DELETE FROM journeys WHERE id = ", id, ""); err != nil {
				return 0, err
			}
			continue
		}
		if owner, err = s.sealJSON(who, r.ownerPlace()...); err != nil {
			return 0, err
		}
		if len(staged) == 0 {
			staged = []byte{} // a database reads nil, and takes it for NULL
		} else {
			var told said
			if err := s.openJSON(staged, &told, r.place()...); err != nil {
				return 0, err
			}
			if staged, err = s.sealJSON(told, r.place()...); err != nil {
				return 0, err
			}
		}
		// What the platform has told meanwhile is left for the next time.
		if _, err := s.run(ctx, tx, "UPDATE journeys SET person = ", s.person(who.owner(r.provider, r.source)), ", owner = ", owner, ", staged = ", staged,
			", sealed_by = ", s.keyName(), " WHERE id = ", id, " AND state = ", r.state, ""); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}
