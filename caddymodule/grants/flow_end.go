// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// next returns the action for an event at a time of the database's clock.
func (f *storedFlow) next(now time.Time, e consent.Event) consent.Action {
	f.judged = now
	mode := consent.ByCallback
	switch f.mode {
	case FlowRedirect:
		mode = consent.ByRedirect
	case FlowPage:
		mode = consent.ByPage
	}
	return consent.Next(mode, f.at(now), e)
}

// at is how far the flow is. A staged result waits for longer than an open flow:
// the platform may be unable to hand it over again.
func (f *storedFlow) at(now time.Time) consent.State {
	over := f.expires
	state := consent.Open
	switch f.state {
	case flowDone:
		return consent.Done
	case flowRedeeming:
		if now.Before(f.claimUntil) {
			return consent.Redeeming
		}
		state = consent.Lapsed
	case flowStaged:
		state, over = consent.Staged, over.Add(returnGrace)
		if f.browser == "" || f.then != "" || f.owner.Source != "" {
			over = f.expires.Add(returnGraceAnyBrowser)
		}
	case flowConfirm:
		state, over = consent.Confirm, f.claimUntil
	}
	if now.After(over) {
		return consent.Expired
	}
	return state
}

// flowOfBrowser returns the flow that a browser comes back from, or that of a
// handle. The error is
// [ErrForeignFlow] unless the browser is the one that has begun it, and whoever is
// signed in there the person (RFC 6749 section 10.12, login CSRF): otherwise an
// attacker could have a victim consent in the attacker's flow, and read the
// victim's data. Nobody need be signed in where the browser is the one.
func (s *Store) flowOfBrowser(ctx context.Context, db querier, ret Return) (*storedFlow, error) {
	if ret.Handle != "" {
		return s.flowOfHandle(ctx, db, ret)
	}
	f, err := s.flowByToken(ctx, db, ret.Provider, ret.Source, "back", ret.StateToken)
	if err != nil {
		return nil, err
	}
	nobody := ret.Person == (delegation.Person{}) && f.browser != ""
	if !nobody && f.owner != ret.Owner || !s.isBrowser(f, ret.BrowserToken, ret.AnyBrowser) {
		return nil, ErrForeignFlow
	}
	return f, nil
}

// isBrowser tells whether a browser may end a flow.
func (s *Store) isBrowser(f *storedFlow, token string, anyBrowser bool) bool {
	if f.browser == "" {
		return anyBrowser && !f.startsByTicket() // whose browser is the first that opens it
	}
	return slices.Contains(s.tokenPseudonyms("browser", token), f.browser)
}

// completions are those of a flow whose result is g, and whose owner has inUse; nil
// if nothing.
func (f *storedFlow) completions(g, inUse *Grant) consent.Completions {
	return consent.Complete(f.origin(), ownershipOf(g, inUse))
}

// origin is how the flow was begun.
func (f *storedFlow) origin() consent.Origin {
	switch ofSource := f.owner.Source != ""; {
	case f.kind == FlowUpdate && ofSource:
		return consent.UpdateSource
	case f.kind == FlowUpdate:
		return consent.Update
	case ofSource:
		return consent.ConnectSource
	case f.browser == "":
		return consent.ConnectAnywhere
	default:
		return consent.ConnectHere
	}
}

// ownershipOf compares the grant that an owner has in use with the result of a
// flow. One of another vendor is of no use any more: it keeps nobody from connecting, as
// long as it is not the later one.
func ownershipOf(result, inUse *Grant) consent.Ownership {
	switch {
	case inUse == nil, inUse.Vendor != result.Vendor && inUse.sequence <= result.sequence:
		return consent.OwnsNothing
	case inUse.Vendor != result.Vendor:
		return consent.OwnsActiveOtherNewer
	}
	same, newer := inUse.Account == result.Account, inUse.sequence > result.sequence
	if inUse.State != Active {
		newer = inUse.sequence >= result.sequence // of equals the one that was suspended stays so
	}
	switch active := inUse.State == Active; {
	case active && same && newer:
		return consent.OwnsActiveSameNewer
	case active && same:
		return consent.OwnsActiveSame
	case active && newer:
		return consent.OwnsActiveOtherNewer
	case active:
		return consent.OwnsActiveOther
	case same && newer:
		return consent.OwnsSuspendedSameNewer
	case same:
		return consent.OwnsSuspendedSame
	default:
		return consent.OwnsSuspendedOther
	}
}

// Pending returns nil if the owner has a consent flow under way, [ErrNotFound] if
// not. A flow that the platform has answered counts for an hour after it has
// expired: later the page should offer to begin anew. One that a page has begun for
// its widget does not count until there is something to redeem: nobody
// learns whether the person has closed the widget.
func (s *Store) Pending(ctx context.Context, o Owner) error {
	return s.read(ctx, "looking for a consent flow", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		var id string
		return s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&id) },
			"SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source, " AND person IN ", s.ownerPseudonyms(o),
			" AND (state = 'open' AND expires > ", millis(now), " OR state = 'redeeming' AND claim_until > ", millis(now), " OR state = 'staged' AND expires > ", millis(now.Add(-returnGraceAnyBrowser)), ") AND (state <> 'open' OR mode <> 'page' OR browser = '') LIMIT 1")
	})
}
