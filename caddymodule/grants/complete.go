// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"math"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Return is a browser that comes back from the platform's consent page.
type Return struct {
	// Owner is the person whose session that browser has.
	Owner
	// StateToken is the one of the address that the browser comes to, BrowserToken
	// the one in its cookie; empty if it has none.
	StateToken, BrowserToken string
	// Handle stands in place of both for an app, see [Store.IssueHandle]; empty for a
	// browser.
	Handle string
	// AnyBrowser allows a flow to be completed here that was begun with
	// [Flow.AnyBrowser].
	AnyBrowser bool
	// Probe asks the platform whether it accepts the credential in result.
	// hasActive tells whether its owner has an active grant, which a refused result
	// does not touch. It is called before anything is changed, outside of any
	// transaction, only if the answer matters, and with a context that does not end
	// with the request. Nil: the credential is accepted.
	Probe Probe
}

// ProbeResult is the platform's verdict on a credential.
type ProbeResult = delegation.ProbeResult

// The results of a probe, see [consent.Completion].
const (
	ProbeAccepted = delegation.ProbeAccepted
	ProbeUnknown  = delegation.ProbeUnknown
	ProbeRefused  = delegation.ProbeRefused
)

// Complete ends a consent flow, and puts its result into use as
// [consent.Complete] says. It returns the grant that the owner has in use then,
// which may be nil with an error. first is true in the one call that ends the flow,
// also where the error says that its result is not used; false if it had ended
// before or is older than the grant in use. The error is [ErrNotFound],
// [ErrPending], [ErrForeignFlow], [ErrConflict], [ErrOtherAccount],
// [ErrProbeRefused], an [EndedError], [ErrDamaged] or [ErrUnavailable].
func (s *Store) Complete(ctx context.Context, ret Return) (g *Grant, first bool, err error) {
	ctx = delegation.Detach(ctx)
	find := func(ctx context.Context, db querier) (*storedFlow, consent.Action, error) {
		if ret.Person == (delegation.Person{}) {
			return nil, 0, ErrForeignFlow
		}
		f, err := s.flowOfBrowser(ctx, db, ret)
		if err != nil {
			return nil, 0, err
		}
		now, err := s.now(ctx, db)
		return f, f.next(now, consent.Returned), err
	}
	probed, err := s.probe(ctx, ret.Probe, find)
	if err != nil {
		return nil, false, err
	}
	return s.finish(ctx, probed, find)
}

// unnumbered is the sequence of a result that is handed over while its flow is
// completed: later than all.
const unnumbered = math.MaxInt64

// flowFinder returns a flow with its result, and what is done to it.
type flowFinder func(ctx context.Context, db querier) (*storedFlow, consent.Action, error)

// finish ends a flow with its result, or tells what it has ended with.
func (s *Store) finish(ctx context.Context, probed ProbeResult, find flowFinder) (g *Grant, first bool, err error) {
	var outcome error // of a flow that has ended: the transaction is committed with it
	err = s.write(ctx, "completing a consent flow", func(ctx context.Context, tx querier) error {
		f, action, err := find(ctx, tx)
		if err != nil {
			return err
		}
		switch action {
		case consent.Again:
			g, outcome, err = s.endedWith(ctx, tx, f)
			return err
		case consent.Finish:
		case consent.Wait:
			return ErrPending
		default: // consent.Gone
			return ErrNotFound
		}
		if f.result.Sequence == unnumbered {
			if f.result.Sequence, err = s.nextSequence(ctx, tx); err != nil {
				return err
			}
		}
		if g, first, outcome, err = s.applyResult(ctx, tx, f, probed); err != nil {
			return err
		}
		f.state, f.result = flowDone, f.result.digestOnly() // the credential is in the grant now
		f.result.Outcome = outcomeName(outcome)
		if f.startsByTicket() {
			f.link = s.tokenPseudonym("link", rand.Text()) // the handle has been used
		}
		return s.replaceFlow(ctx, tx, f)
	})
	if err != nil {
		return nil, false, err
	}
	return g, first, outcome
}

// endedWith returns the grant that the owner of an ended flow has in use; with the
// outcome if the flow's result is not used and they have connected nothing since, or
// with the reason if the flow has ended without a result, and perhaps without a grant
// then.
func (s *Store) endedWith(ctx context.Context, db querier, f *storedFlow) (g *Grant, outcome, err error) {
	g, err = s.find(ctx, db, f.owner)
	if f.result.Reason == "" {
		if err == nil && g.sequence < f.result.Sequence {
			outcome = f.result.outcome()
		}
		return g, outcome, err
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		err = nil
	}
	return g, &EndedError{f.result.Reason}, err
}

// probe asks the platform whether it accepts a flow's result, if that matters. It
// reads outside of a transaction: a page that asks again and again whether the
// platform has answered must not keep writers waiting.
func (s *Store) probe(ctx context.Context, probe Probe, find flowFinder) (ProbeResult, error) {
	var ask func() ProbeResult
	err := s.read(ctx, "looking for a consent flow", func(reading context.Context, db querier) error {
		f, action, err := find(reading, db)
		switch {
		case err != nil:
			return err
		case action == consent.Wait:
			return ErrPending
		case action == consent.Gone:
			return ErrNotFound
		case action != consent.Finish || probe == nil:
			return nil
		}
		g, inUse, err := s.resultAndInUse(reading, db, f)
		if err == nil && f.completions(g, inUse).NeedsProbe() {
			ask = func() ProbeResult { return probe(ctx, g, inUse != nil && inUse.State == Active) }
		}
		return err
	})
	if err != nil || ask == nil {
		return ProbeAccepted, err
	}
	return ask(), nil
}

// resultAndInUse returns the grant that a flow leads to, which [storedFlow.next] has
// judged, and that which its owner has in use; nil if none.
func (s *Store) resultAndInUse(ctx context.Context, db querier, f *storedFlow) (result, inUse *Grant, err error) {
	inUse, err = s.byOwner(ctx, db, f.owner)
	if errors.Is(err, ErrNotFound) {
		inUse, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	r := f.result
	return &Grant{
		ID: newID(), Owner: f.owner, Account: r.Account, Label: r.Label, Scopes: r.Scopes, Vendor: r.Vendor, Client: r.Client, State: Active, Ends: optionalTime(f.secret.Ends),
		Secret: delegation.NewSecret(string(r.Secret)), Tokens: r.Tokens.tokens(),
		Created: f.judged, Changed: f.judged, sequence: r.Sequence,
	}, inUse, nil
}

// applyResult carries out the [consent.Completion] of a flow's result. outcome
// is the error for the browser's user; err is a fault that undoes the transaction.
func (s *Store) applyResult(ctx context.Context, tx querier, f *storedFlow, probed ProbeResult) (g *Grant, first bool, outcome, err error) {
	result, inUse, err := s.resultAndInUse(ctx, tx, f)
	if err != nil {
		return nil, false, nil, err
	}
	switch done := f.completions(result, inUse)[probed]; done {
	// What is dropped stands at the platform all the same, and nobody could end it any more.
	case consent.DropOlder:
		return inUse, false, nil, s.queueRevocation(ctx, tx, result)
	case consent.DropUpdate:
		return inUse, true, ErrNotFound, s.queueRevocation(ctx, tx, result)
	case consent.DropOtherAccount:
		return inUse, true, ErrOtherAccount, s.queueRevocation(ctx, tx, result)
	case consent.KeepRetired:
		result.State = Retired
		return inUse, true, ErrProbeRefused, s.insert(ctx, tx, result)
	case consent.UseSuspended:
		result.State = Suspended
		return result, true, ErrProbeRefused, s.putInUse(ctx, tx, result, false)
	default: // consent.UseProven and consent.UseUnproven
		if err = s.putInUse(ctx, tx, result, done == consent.UseProven); err == nil && result.State == Conflict {
			outcome = ErrConflict
		}
		return result, true, outcome, err
	}
}
