// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Arrival is a browser that comes back from a journey.
type Arrival struct {
	// Owner is who is signed in there.
	Owner
	// Back is the token of the address that it comes to, and Browser the one
	// that it has kept; empty if it did not set out.
	Back, Browser string
	// AnyBrowser allows a journey to end here that was begun as one for any
	// browser.
	AnyBrowser bool
	// Try tells whether the platform accepts what it has told. It is asked before
	// anything is changed, and without holding anybody up. Default: it does.
	Try func(context.Context, *Grant) bool
}

// Activate ends a journey, and makes the grant count. first is false if it had
// ended before; then the grant is the one that there is. The error is
// [ErrNone], [ErrPending], [ErrOther], [ErrConflict], [ErrConnected],
// [ErrRefused], [ErrDamaged] or [ErrUnavailable].
//
// A grant that counts gives way to what the platform has told later, and
// accepts. What it does not accept is kept aside.
func (s *Store) Activate(ctx context.Context, a Arrival) (g *Grant, first bool, err error) {
	accepted, err := s.try(ctx, a)
	if err != nil {
		return nil, false, err
	}
	var outcome error
	err = s.write(ctx, "activating a grant", func(ctx context.Context, tx doer) error {
		r, err := s.arrived(ctx, tx, a)
		if err != nil {
			return err
		}
		if r.state == done {
			g, err = s.find(ctx, tx, a.Owner)
			return err
		}
		if g, first, outcome, err = s.end(ctx, tx, r, accepted); err != nil {
			return err
		}
		_, err = s.run(ctx, tx, "UPDATE journeys SET state = 'done' WHERE id = ", r.id, "")
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return g, first, outcome
}

// try asks whether the platform accepts what it has told. Who asks whether it
// is time yet does not have writers wait.
func (s *Store) try(ctx context.Context, a Arrival) (accepted bool, err error) {
	var g *Grant
	err = s.read(ctx, "looking for a journey", func(ctx context.Context, db doer) error {
		r, err := s.arrived(ctx, db, a)
		if err != nil || r.state == done {
			return err
		}
		told, err := s.said(r)
		if err == nil {
			g = r.grant(told)
		}
		return err
	})
	if err != nil || g == nil || a.Try == nil {
		return true, err
	}
	return a.Try(ctx, g), nil
}

// arrived is the journey that a browser comes back from, if it may end there.
func (s *Store) arrived(ctx context.Context, db doer, a Arrival) (*record, error) {
	r, err := s.journey(ctx, db, a.Provider, a.Source, "back", a.Back)
	if err != nil {
		return nil, err
	}
	there := r.browser == "" && a.AnyBrowser || r.browser != "" && slices.Contains(s.tokens("browser", a.Browser), r.browser)
	switch {
	case r.owner != a.Owner || !there:
		return nil, ErrOther
	case r.late(time.Now()):
		return nil, ErrNone
	case r.state == open:
		return nil, ErrPending
	default:
		return r, nil
	}
}

// grant is what a journey leads to.
func (r *record) grant(told said) *Grant {
	now, what := time.Now(), told.staged()
	return &Grant{ID: newID(), Owner: r.owner, Account: what.Account, State: Active, Secret: what.Secret, Created: now, Changed: now, told: told.At}
}

// end makes what the platform has told count, if it may.
func (s *Store) end(ctx context.Context, tx doer, r *record, accepted bool) (g *Grant, first bool, outcome, err error) {
	told, err := s.said(r)
	if err != nil {
		return nil, false, nil, err
	}
	g = r.grant(told)
	before, err := s.held(ctx, tx, r.owner)
	switch {
	case err != nil && !errors.Is(err, ErrNone), err != nil && r.kind == Update:
		return nil, false, nil, err
	case r.kind == Update && before.Account != g.Account:
		return nil, false, nil, ErrNone // consent to something more of somebody else
	case err != nil || before.State != Active:
		if !accepted {
			g.State, outcome = Suspended, ErrRefused
		}
		err = s.bind(ctx, tx, g)
	case before.told > g.told:
		return before, false, nil, nil // of two tabs, the one in which it was consented to last
	case r.browser == "" && before.Account != g.Account:
		return before, true, ErrConnected, nil
	case !accepted:
		g.State = Retired
		return before, true, ErrRefused, s.file(ctx, tx, g)
	default:
		err = s.bind(ctx, tx, g)
	}
	if g.State == Conflict {
		outcome = ErrConflict
	}
	return g, true, outcome, err
}

// Pending tells whether somebody is on the way: until when, at the latest. The
// error is [ErrNone] if not.
func (s *Store) Pending(ctx context.Context, o Owner) (until time.Time, err error) {
	now := time.Now()
	err = s.read(ctx, "looking for a journey", func(ctx context.Context, db doer) error {
		var expires int64
		if err := s.row(ctx, db, func(row scanner) error { return row.Scan(&expires) },
			"SELECT expires FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source, " AND person IN ", s.persons(o),
			" AND (state = 'open' AND expires > ", millis(now), " OR state = 'staged' AND expires > ", millis(now.Add(-keptAny)),
			" OR state = 'staged' AND browser <> '' AND expires > ", millis(now.Add(-kept)), ") ORDER BY expires DESC LIMIT 1"); err != nil {
			return err
		}
		until = time.UnixMilli(expires)
		return nil
	})
	return until, err
}
