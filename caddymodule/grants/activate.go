// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"slices"
	"time"
)

// Activate ends a journey in the browser that began it, and makes the grant
// count. Again, it returns the grant that there is, and fresh is false. The
// error is [ErrNone], [ErrPending], [ErrOther], [ErrConflict], [ErrDamaged] or
// [ErrUnavailable].
func (s *Store) Activate(ctx context.Context, o Owner, back, browser string) (g *Grant, fresh bool, err error) {
	// Who asks whether it is time yet must not have writers wait.
	if err := s.read(ctx, "looking for a journey", func(ctx context.Context, db doer) error {
		r, err := s.journey(ctx, db, o.Provider, o.Source, "back", back)
		if err != nil {
			return err
		}
		return s.mayEnd(r, o, browser)
	}); err != nil {
		return nil, false, err
	}
	conflict := false
	err = s.write(ctx, "activating a grant", func(ctx context.Context, tx doer) error {
		r, err := s.journey(ctx, tx, o.Provider, o.Source, "back", back)
		if err == nil {
			err = s.mayEnd(r, o, browser)
		}
		if err != nil {
			return err
		}
		if r.state == done {
			g, err = s.held(ctx, tx, o)
			return err
		}
		told, err := s.said(r)
		if err != nil {
			return err
		}
		if r.kind == Update {
			if before, err := s.held(ctx, tx, o); err != nil {
				return err
			} else if before.Account != told.Account {
				return ErrNone // consent to something more of somebody else
			}
		}
		if g, conflict, err = s.bind(ctx, tx, o, told.Account, told.Secret); err != nil {
			return err
		}
		fresh = true
		_, err = s.run(ctx, tx, "UPDATE journeys SET state = 'done' WHERE id = ", r.id, "")
		return err
	})
	if err == nil && conflict {
		return nil, false, ErrConflict
	}
	return g, fresh, err
}

// mayEnd tells whether a journey may be ended, by whom and from where.
func (s *Store) mayEnd(r *record, o Owner, browser string) error {
	switch {
	case r.owner != o, r.browser != "" && !slices.Contains(s.tokens("browser", browser), r.browser):
		return ErrOther
	case r.late(time.Now()):
		return ErrNone
	case r.state == open:
		return ErrPending
	default:
		return nil
	}
}

// Pending tells whether somebody is on the way: until when, at the latest. The
// error is [ErrNone] if not.
func (s *Store) Pending(ctx context.Context, o Owner) (until time.Time, err error) {
	now := time.Now()
	err = s.read(ctx, "looking for a journey", func(ctx context.Context, db doer) error {
		var expires int64
		if err := s.row(ctx, db, func(row scanner) error { return row.Scan(&expires) },
			"SELECT expires FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source, " AND (state = 'staged' AND (browser <> '' OR expires > ",
			millis(now.Add(-keptAny)), ") OR state = 'open' AND expires > ", millis(now), ") AND person IN ", s.persons(o), " ORDER BY expires DESC LIMIT 1"); err != nil {
			return err
		}
		until = time.UnixMilli(expires)
		return nil
	})
	return until, err
}
