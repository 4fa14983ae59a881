// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Return is a browser that comes back from the platform's consent page.
type Return struct {
	// Owner is the person whose session that browser has.
	Owner
	// StateToken is the one of the address that the browser comes to, BrowserToken
	// the one in its cookie; empty if it has none.
	StateToken, BrowserToken string
	// AnyBrowser allows a flow to be completed here that was begun with
	// [Flow.AnyBrowser].
	AnyBrowser bool
	// Probe asks the platform whether it accepts the credential in result.
	// hasActive tells whether its owner has an active grant, which a refused result
	// does not touch. It is called before anything is changed, outside of any
	// transaction, only if the answer matters, and with a context that does not end
	// with the request. Nil: the credential is accepted.
	Probe func(ctx context.Context, result *Grant, hasActive bool) ProbeResult
}

// ProbeResult is the platform's verdict on a credential.
type ProbeResult = delegation.ProbeResult

// The results of a probe, see [completions].
const (
	ProbeAccepted = delegation.ProbeAccepted
	ProbeUnknown  = delegation.ProbeUnknown
	ProbeRefused  = delegation.ProbeRefused
)

// Complete ends a consent flow, and puts its result into use as [completions]
// says. It returns the grant that the owner has in use then, which may be nil with
// an error. first is true in the one call that ends the flow, also where the error
// says that its result is not used; false if it had ended before or is older than
// the grant in use. The error is [ErrNotFound], [ErrPending], [ErrForeignFlow],
// [ErrConflict], [ErrOtherAccount], [ErrProbeRefused], [ErrDamaged] or
// [ErrUnavailable].
func (s *Store) Complete(ctx context.Context, ret Return) (g *Grant, first bool, err error) {
	ctx = delegation.Detach(ctx)
	probed, err := s.probe(ctx, ret)
	if err != nil {
		return nil, false, err
	}
	var outcome error // of a flow that has ended: the transaction is committed with it
	err = s.write(ctx, "completing a consent flow", func(ctx context.Context, tx querier) error {
		f, err := s.returnedFlow(ctx, tx, ret)
		if err != nil {
			return err
		}
		if f.state == flowDone {
			g, err = s.find(ctx, tx, ret.Owner)
			return err
		}
		if g, first, outcome, err = s.applyResult(ctx, tx, f, probed); err != nil {
			return err
		}
		f.state, f.result = flowDone, f.result.digestOnly() // the credential is in the grant now
		return s.replaceFlow(ctx, tx, f)
	})
	if err != nil {
		return nil, false, err
	}
	return g, first, outcome
}

// probe asks the platform whether it accepts a flow's result, if that matters. It
// reads outside of a transaction: a page that asks again and again whether the
// platform has answered must not keep writers waiting.
func (s *Store) probe(ctx context.Context, ret Return) (ProbeResult, error) {
	var ask func() ProbeResult
	err := s.read(ctx, "looking for a consent flow", func(_ context.Context, db querier) error {
		f, err := s.returnedFlow(ctx, db, ret)
		if err != nil || f.state == flowDone || ret.Probe == nil {
			return err
		}
		g, inUse, err := s.resultAndInUse(ctx, db, f)
		if err == nil && f.completionRow(g, inUse).needsProbe() {
			ask = func() ProbeResult { return ret.Probe(ctx, g, inUse != nil && inUse.State == Active) }
		}
		return err
	})
	if err != nil || ask == nil {
		return ProbeAccepted, err
	}
	return ask(), nil
}

// returnedFlow returns the flow that a browser comes back from, staged or done. The
// error is [ErrForeignFlow] unless person and browser are those that have begun it
// (RFC 6749 section 10.12, login CSRF): otherwise an attacker could have a victim
// consent in the attacker's flow, and read the victim's data.
func (s *Store) returnedFlow(ctx context.Context, db querier, ret Return) (*storedFlow, error) {
	f, err := s.flowByToken(ctx, db, ret.Provider, ret.Source, "back", ret.StateToken)
	if err != nil {
		return nil, err
	}
	now, err := s.now(ctx, db)
	if err != nil {
		return nil, err
	}
	rightBrowser := f.browser == "" && ret.AnyBrowser ||
		f.browser != "" && slices.Contains(s.tokenPseudonyms("browser", ret.BrowserToken), f.browser)
	switch {
	case f.owner != ret.Owner || !rightBrowser:
		return nil, ErrForeignFlow
	case f.expired(now):
		return nil, ErrNotFound
	case f.state == flowOpen:
		return nil, ErrPending
	default:
		return f, nil
	}
}

// resultAndInUse returns the grant that a flow leads to, and that which its owner
// has in use; nil if none.
func (s *Store) resultAndInUse(ctx context.Context, db querier, f *storedFlow) (result, inUse *Grant, err error) {
	inUse, err = s.byOwner(ctx, db, f.owner)
	if errors.Is(err, ErrNotFound) {
		inUse, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	now, err := s.now(ctx, db)
	r := f.result
	return &Grant{
		ID: newID(), Owner: f.owner, Account: r.Account, Label: r.Label, Scopes: r.Scopes, State: Active,
		Secret: delegation.NewSecret(string(r.Secret)), Tokens: r.Tokens.tokens(),
		Created: now, Changed: now, sequence: r.Sequence,
	}, inUse, err
}

// applyResult carries out the entry of [completions] for a flow's result. outcome
// is the error for the browser's user; err is a fault that undoes the transaction.
func (s *Store) applyResult(ctx context.Context, tx querier, f *storedFlow, probed ProbeResult) (g *Grant, first bool, outcome, err error) {
	result, inUse, err := s.resultAndInUse(ctx, tx, f)
	if err != nil {
		return nil, false, nil, err
	}
	switch done := f.completionRow(result, inUse)[probed]; done {
	case dropOlder:
		return inUse, false, nil, nil
	case dropUpdate:
		return inUse, true, ErrNotFound, nil
	case dropOtherAccount:
		return inUse, true, ErrOtherAccount, nil
	case keepRetired:
		result.State = Retired
		return inUse, true, ErrProbeRefused, s.insert(ctx, tx, result)
	case useSuspended:
		result.State = Suspended
		return result, true, ErrProbeRefused, s.putInUse(ctx, tx, result, false)
	default: // useProven and useUnproven
		if err = s.putInUse(ctx, tx, result, done == useProven); err == nil && result.State == Conflict {
			outcome = ErrConflict
		}
		return result, true, outcome, err
	}
}

// Pending returns nil if the owner has a consent flow under way, [ErrNotFound] if
// not. A flow that the platform has answered counts for an hour after it has
// expired: later the page should offer to begin anew.
func (s *Store) Pending(ctx context.Context, o Owner) error {
	return s.read(ctx, "looking for a consent flow", func(ctx context.Context, db querier) error {
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
