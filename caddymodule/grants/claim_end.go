// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Probe asks the platform whether it accepts the credential in result, see
// [Return].
type Probe func(ctx context.Context, result *Grant, hasActive bool) ProbeResult

// FinishClaim puts the result of a claim into use, and ends the flow, in one
// transaction: results and errors are those of [Store.Complete]. A result that
// comes late is not thrown away: it counts unless the flow has ended meanwhile, or
// its owner has had it deleted, which is an [ErrNotFound]. The error is
// [ErrForeignFlow], and nothing is changed, if the flow's owner was not there when
// it was claimed: see [Store.StageClaim].
func (s *Store) FinishClaim(ctx context.Context, c *ClaimedFlow, result PendingResult, probe Probe) (g *Grant, first bool, err error) {
	if !c.ownerSeen {
		return nil, false, ErrForeignFlow
	}
	ctx = delegation.Detach(ctx)
	find := func(ctx context.Context, db querier) (*storedFlow, consent.Action, error) {
		f, action, err := s.flowOfClaim(ctx, db, c, consent.Redeemed)
		if err == nil && action == consent.Finish {
			f.result = newStoredResult(result)
			f.result.Sequence = unnumbered
		}
		return f, action, err
	}
	probed, err := s.probe(ctx, probe, find)
	if err != nil {
		return nil, false, err
	}
	return s.finish(ctx, probed, find)
}

// StageClaim keeps the result of a claim whose owner is not signed in. It counts by
// [Store.Complete]. The error is [ErrNotFound] if the flow has ended meanwhile or
// was deleted; [ErrDamaged] or [ErrUnavailable].
func (s *Store) StageClaim(ctx context.Context, c *ClaimedFlow, result PendingResult) error {
	return s.write(ctx, "keeping the result of a consent flow", func(ctx context.Context, tx querier) error {
		f, action, err := s.flowOfClaim(ctx, tx, c, consent.RedeemedAway)
		switch {
		case err != nil:
			return err
		case action == consent.Gone:
			return ErrNotFound
		case action != consent.Stage:
			return nil
		}
		f.state, f.result = flowStaged, newStoredResult(result)
		if f.result.Sequence, err = s.nextSequence(ctx, tx); err != nil {
			return err
		}
		// The platform is told of this one if nobody fetches it.
		if err := s.dropRevocations(ctx, tx, f.unused()); err != nil {
			return err
		}
		return s.replaceFlow(ctx, tx, f)
	})
}

// RefuseClaim ends a claim whose token the platform has refused, which is its last
// word. A flow of [FlowPage] is open for another token; another one is done. reason
// is a word for the page, such as token_rejected. It has no effect if the claim was
// overtaken by another. The error is [ErrDamaged] or [ErrUnavailable].
func (s *Store) RefuseClaim(ctx context.Context, c *ClaimedFlow, reason string) error {
	return s.endClaim(ctx, c, consent.Refused, reason)
}

// LeaveClaim ends a claim of which nobody knows how it ended. A flow of [FlowPage]
// may claim the same token again; another one is over. The error is [ErrDamaged] or
// [ErrUnavailable].
func (s *Store) LeaveClaim(ctx context.Context, c *ClaimedFlow) error {
	return s.endClaim(ctx, c, consent.Left, "")
}

// endClaim carries out the end of a claim without a result.
func (s *Store) endClaim(ctx context.Context, c *ClaimedFlow, event consent.Event, reason string) error {
	err := s.write(ctx, "ending the claim of a consent flow", func(ctx context.Context, tx querier) error {
		f, action, err := s.flowOfClaim(ctx, tx, c, event)
		if err != nil || f.claimID != c.claimID {
			return err
		}
		switch action {
		case consent.Lapse:
			f.claimUntil = optionalTime(0)
			return s.writeClaim(ctx, tx, f, flowRedeeming)
		case consent.Reopen:
			f.claimID, f.claimUntil = "", optionalTime(0)
			if err := s.writeClaim(ctx, tx, f, flowOpen); err != nil {
				return err
			}
			_, err := s.exec(ctx, tx, "UPDATE redeemed SET refused = ", reason, " WHERE refused = '' AND flow = ", f.id, "")
			return err
		case consent.Fail:
			return s.failFlow(ctx, tx, f, reason)
		default: // it has ended otherwise
			return nil
		}
	})
	if errors.Is(err, ErrNotFound) {
		return nil // its owner has had it deleted
	}
	return err
}

// flowOfClaim returns the flow of a claim, and what is done to it.
func (s *Store) flowOfClaim(ctx context.Context, db querier, c *ClaimedFlow, event consent.Event) (*storedFlow, consent.Action, error) {
	f, err := s.flowByID(ctx, db, c.Provider, c.Source, c.ID)
	if err != nil {
		return nil, 0, err
	}
	now, err := s.now(ctx, db)
	return f, f.next(now, event), err
}

// Deny ends a flow of which the browser that has begun it brings the platform's
// word that there will be no grant; its owner need not be signed in, but nobody
// else may be. reason is a word for the page, such as consent_denied. It has no
// effect on a flow that has a result, or in which somebody redeems. The error is
// [ErrNotFound], [ErrForeignFlow], [ErrDamaged] or [ErrUnavailable].
func (s *Store) Deny(ctx context.Context, ret Return, reason string) error {
	const operation = "ending a consent flow"
	ctx = delegation.Detach(ctx)
	var f *storedFlow
	action := consent.Gone
	judge := func(ctx context.Context, db querier) (err error) {
		if f, err = s.flowOfBrowser(ctx, db, ret); err != nil {
			return err
		}
		now, err := s.now(ctx, db)
		if action = f.next(now, consent.Denied); action == consent.Gone && err == nil {
			err = ErrNotFound
		}
		return err
	}
	// What changes nothing does not have writers wait.
	if err := s.read(ctx, operation, judge); err != nil || action != consent.Fail {
		return err
	}
	return s.write(ctx, operation, func(ctx context.Context, tx querier) error {
		if err := judge(ctx, tx); err != nil || action != consent.Fail {
			return err
		}
		return s.failFlow(ctx, tx, f, reason)
	})
}

// failFlow ends a flow with a reason.
func (s *Store) failFlow(ctx context.Context, tx querier, f *storedFlow, reason string) error {
	f.state, f.result = flowDone, storedResult{Reason: reason}
	return s.replaceFlow(ctx, tx, f)
}
