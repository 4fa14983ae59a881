// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Return is a browser that comes back from a journey.
type Return struct {
	// Owner is who is signed in there.
	Owner
	// StateToken is the token of the address that it comes to, and Browser the one
	// that it has kept; empty if it did not set out.
	StateToken, BrowserToken string
	// AnyBrowser allows a journey to end here that was begun as one for any
	// browser.
	AnyBrowser bool
	// Probe tells whether the platform accepts what it has told; better, whether
	// somebody has a grant that counts, which a refused one does not touch. It is
	// asked before anything is changed, without holding anybody up, and only if
	// it matters. It goes on if who asked leaves. Default: it is accepted.
	Probe func(ctx context.Context, told *Grant, better bool) ProbeResult
}

// ProbeResult is what a platform says of what it has told.
type ProbeResult int

// The verdicts.
const (
	// ProbeAccepted is what works.
	ProbeAccepted ProbeResult = iota
	// ProbeUnknown is what cannot be tried now. It counts, and what it takes the place
	// of is kept aside.
	ProbeUnknown
	// ProbeRefused does not count. It is kept aside.
	ProbeRefused
)

// Complete ends a journey, and makes the grant count. first is false if it had
// ended before, or something later counts; then the grant is the one that there
// is. The error is [ErrNone], [ErrPending], [ErrOther], [ErrConflict],
// [ErrConnected], [ErrRefused], [ErrDamaged] or [ErrUnavailable].
func (s *Store) Complete(ctx context.Context, a Return) (g *Grant, first bool, err error) {
	ctx = delegation.Detach(ctx)
	verdict, err := s.probe(ctx, a)
	if err != nil {
		return nil, false, err
	}
	var outcome error
	err = s.write(ctx, "activating a grant", func(ctx context.Context, tx querier) error {
		r, err := s.returnedFlow(ctx, tx, a)
		if err != nil {
			return err
		}
		if r.state == flowDone {
			g, err = s.find(ctx, tx, a.Owner)
			return err
		}
		if g, first, outcome, err = s.applyResult(ctx, tx, r, verdict); err != nil {
			return err
		}
		r.state, r.result = flowDone, r.result.digestOnly() // what it has is the grant's now
		return s.replaceFlow(ctx, tx, r)
	})
	if err != nil {
		return nil, false, err
	}
	return g, first, outcome
}

// probe asks whether the platform accepts what it has told. Who asks whether it
// is time yet does not have writers wait.
func (s *Store) probe(ctx context.Context, a Return) (ProbeResult, error) {
	var ask func() ProbeResult
	err := s.read(ctx, "looking for a journey", func(_ context.Context, db querier) error {
		r, err := s.returnedFlow(ctx, db, a)
		if err != nil || r.state == flowDone || a.Probe == nil {
			return err
		}
		g, before, err := s.beforeAndAfter(ctx, db, r)
		if err != nil {
			return err
		}
		if _, _, over := r.superseded(g, before); !over {
			ask = func() ProbeResult { return a.Probe(ctx, g, before != nil && before.State == Active) }
		}
		return nil
	})
	if err != nil || ask == nil {
		return ProbeAccepted, err
	}
	return ask(), nil
}

// returnedFlow is the journey that a browser comes back from, if it may end there.
func (s *Store) returnedFlow(ctx context.Context, db querier, a Return) (*storedFlow, error) {
	r, err := s.flowByToken(ctx, db, a.Provider, a.Source, "back", a.StateToken)
	if err != nil {
		return nil, err
	}
	now, err := s.now(ctx, db)
	if err != nil {
		return nil, err
	}
	there := r.browser == "" && a.AnyBrowser || r.browser != "" && slices.Contains(s.tokenPseudonyms("browser", a.BrowserToken), r.browser)
	switch {
	case r.owner != a.Owner || !there:
		return nil, ErrForeignFlow
	case r.expired(now):
		return nil, ErrNotFound
	case r.state == flowOpen:
		return nil, ErrPending
	default:
		return r, nil
	}
}

// pendingGrant is what a journey leads to.
func (r *storedFlow) pendingGrant() *Grant {
	now, what := time.Now(), r.result.pending()
	return &Grant{ID: newID(), Owner: r.owner, Account: what.Account, State: Active, Secret: what.Secret, Created: now, Changed: now, sequence: r.result.Sequence}
}

// beforeAndAfter are what a journey leads to, and what its owner has; nil if nothing.
func (s *Store) beforeAndAfter(ctx context.Context, db querier, r *storedFlow) (g, before *Grant, err error) {
	before, err = s.byOwner(ctx, db, r.owner)
	if errors.Is(err, ErrNotFound) {
		before, err = nil, nil
	}
	return r.pendingGrant(), before, err
}

// superseded tells whether what a journey leads to does not count, whatever the
// platform says of it.
func (r *storedFlow) superseded(g, before *Grant) (first bool, outcome error, over bool) {
	other := before == nil || before.Account != g.Account
	switch {
	case r.kind == FlowUpdate && other:
		return true, ErrNotFound, true // consent to something more of somebody else
	case before == nil:
		return false, nil, false
	case before.State == Active && before.sequence > g.sequence:
		return false, nil, true // of two tabs, the one in which it was consented to last
	case r.browser == "" && other:
		return true, ErrOtherAccount, true
	default:
		return false, nil, false
	}
}

// applyResult makes what the platform has told count, if it may.
func (s *Store) applyResult(ctx context.Context, tx querier, r *storedFlow, verdict ProbeResult) (g *Grant, first bool, outcome, err error) {
	g, before, err := s.beforeAndAfter(ctx, tx, r)
	if err != nil {
		return nil, false, nil, err
	}
	if first, outcome, over := r.superseded(g, before); over {
		return before, first, outcome, nil
	}
	if verdict != ProbeRefused {
		if err = s.activate(ctx, tx, g, verdict == ProbeAccepted); err == nil && g.State == Conflict {
			outcome = ErrConflict
		}
		return g, true, outcome, err
	}
	switch {
	case before == nil:
		g.State = Suspended // to be tried again
		return g, true, ErrProbeRefused, s.activate(ctx, tx, g, false)
	case before.State != Active && before.Account == g.Account && before.sequence < g.sequence:
		g.State = Suspended
		return g, true, ErrProbeRefused, s.activate(ctx, tx, g, false)
	default:
		g.State = Retired
		return before, true, ErrProbeRefused, s.insert(ctx, tx, g)
	}
}

// Pending tells whether somebody is on the way: the error is [ErrNone] if not.
// What the platform has told counts as that for an hour; after, nobody should
// be kept from beginning anew.
func (s *Store) Pending(ctx context.Context, o Owner) error {
	return s.read(ctx, "looking for a journey", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		var id string
		return s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&id) },
			"SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source, " AND person IN ", s.ownerPseudonyms(o),
			" AND (state = 'open' AND expires > ", millis(now), " OR state = 'staged' AND expires > ", millis(now.Add(-returnGraceAnyBrowser)), ") LIMIT 1")
	})
}
