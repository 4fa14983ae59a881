// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
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
	// Try tells whether the platform accepts what it has told; better, whether
	// somebody has a grant that counts, which a refused one does not touch. It is
	// asked before anything is changed, without holding anybody up, and only if
	// it matters. It goes on if who asked leaves. Default: it is accepted.
	Try func(ctx context.Context, told *Grant, better bool) Verdict
}

// Verdict is what a platform says of what it has told.
type Verdict int

// The verdicts.
const (
	// Accepted is what works.
	Accepted Verdict = iota
	// Unknown is what cannot be tried now. It counts, and what it takes the place
	// of is kept aside.
	Unknown
	// Refused does not count. It is kept aside.
	Refused
)

// Activate ends a journey, and makes the grant count. first is false if it had
// ended before, or something later counts; then the grant is the one that there
// is. The error is [ErrNone], [ErrPending], [ErrOther], [ErrConflict],
// [ErrConnected], [ErrRefused], [ErrDamaged] or [ErrUnavailable].
func (s *Store) Activate(ctx context.Context, a Arrival) (g *Grant, first bool, err error) {
	ctx = delegation.Detach(ctx)
	verdict, err := s.try(ctx, a)
	if err != nil {
		return nil, false, err
	}
	var outcome error
	err = s.write(ctx, "activating a grant", func(ctx context.Context, tx doer) error {
		r, err := s.arrived(ctx, tx, a)
		if err != nil {
			return err
		}
		if r.state == stateDone {
			g, err = s.find(ctx, tx, a.Owner)
			return err
		}
		if g, first, outcome, err = s.end(ctx, tx, r, verdict); err != nil {
			return err
		}
		r.state, r.told = stateDone, r.told.over() // what it has is the grant's now
		return s.replaceJourney(ctx, tx, r)
	})
	if err != nil {
		return nil, false, err
	}
	return g, first, outcome
}

// try asks whether the platform accepts what it has told. Who asks whether it
// is time yet does not have writers wait.
func (s *Store) try(ctx context.Context, a Arrival) (Verdict, error) {
	var ask func() Verdict
	err := s.read(ctx, "looking for a journey", func(_ context.Context, db doer) error {
		r, err := s.arrived(ctx, db, a)
		if err != nil || r.state == stateDone || a.Try == nil {
			return err
		}
		g, before, err := s.both(ctx, db, r)
		if err != nil {
			return err
		}
		if _, _, over := r.overruled(g, before); !over {
			ask = func() Verdict { return a.Try(ctx, g, before != nil && before.State == Active) }
		}
		return nil
	})
	if err != nil || ask == nil {
		return Accepted, err
	}
	return ask(), nil
}

// arrived is the journey that a browser comes back from, if it may end there.
func (s *Store) arrived(ctx context.Context, db doer, a Arrival) (*record, error) {
	r, err := s.journey(ctx, db, a.Provider, a.Source, "back", a.Back)
	if err != nil {
		return nil, err
	}
	now, err := s.now(ctx, db)
	if err != nil {
		return nil, err
	}
	there := r.browser == "" && a.AnyBrowser || r.browser != "" && slices.Contains(s.tokens("browser", a.Browser), r.browser)
	switch {
	case r.owner != a.Owner || !there:
		return nil, ErrOther
	case r.late(now):
		return nil, ErrNone
	case r.state == stateOpen:
		return nil, ErrPending
	default:
		return r, nil
	}
}

// grant is what a journey leads to.
func (r *record) grant() *Grant {
	now, what := time.Now(), r.told.staged()
	return &Grant{ID: newID(), Owner: r.owner, Account: what.Account, State: Active, Secret: what.Secret, Created: now, Changed: now, told: r.told.At}
}

// both are what a journey leads to, and what its owner has; nil if nothing.
func (s *Store) both(ctx context.Context, db doer, r *record) (g, before *Grant, err error) {
	before, err = s.held(ctx, db, r.owner)
	if errors.Is(err, ErrNone) {
		before, err = nil, nil
	}
	return r.grant(), before, err
}

// overruled tells whether what a journey leads to does not count, whatever the
// platform says of it.
func (r *record) overruled(g, before *Grant) (first bool, outcome error, over bool) {
	other := before == nil || before.Account != g.Account
	switch {
	case r.kind == Update && other:
		return true, ErrNone, true // consent to something more of somebody else
	case before == nil:
		return false, nil, false
	case before.State == Active && before.told > g.told:
		return false, nil, true // of two tabs, the one in which it was consented to last
	case r.browser == "" && other:
		return true, ErrConnected, true
	default:
		return false, nil, false
	}
}

// end makes what the platform has told count, if it may.
func (s *Store) end(ctx context.Context, tx doer, r *record, verdict Verdict) (g *Grant, first bool, outcome, err error) {
	g, before, err := s.both(ctx, tx, r)
	if err != nil {
		return nil, false, nil, err
	}
	if first, outcome, over := r.overruled(g, before); over {
		return before, first, outcome, nil
	}
	if verdict != Refused {
		if err = s.bind(ctx, tx, g, verdict == Accepted); err == nil && g.State == Conflict {
			outcome = ErrConflict
		}
		return g, true, outcome, err
	}
	switch {
	case before == nil:
		g.State = Suspended // to be tried again
		return g, true, ErrRefused, s.bind(ctx, tx, g, false)
	case before.State != Active && before.Account == g.Account && before.told < g.told:
		g.State = Suspended
		return g, true, ErrRefused, s.bind(ctx, tx, g, false)
	default:
		g.State = Retired
		return before, true, ErrRefused, s.insert(ctx, tx, g)
	}
}

// Pending tells whether somebody is on the way: the error is [ErrNone] if not.
// What the platform has told counts as that for an hour; after, nobody should
// be kept from beginning anew.
func (s *Store) Pending(ctx context.Context, o Owner) error {
	return s.read(ctx, "looking for a journey", func(ctx context.Context, db doer) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		var id string
		return s.row(ctx, db, func(row scanner) error { return row.Scan(&id) },
			"SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source, " AND person IN ", s.persons(o),
			" AND (state = 'open' AND expires > ", millis(now), " OR state = 'staged' AND expires > ", millis(now.Add(-keptAny)), ") LIMIT 1")
	})
}
