// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// overdueBatch is how many results are dropped in one transaction whose time has passed.
const overdueBatch = 100

// EndOverdue drops the results of a source for which it is too late to decide, and returns
// them for the platform to be told with, each to one caller only. The error is
// [ErrUnavailable]; what was dropped before is returned beside it.
func (s *Store) EndOverdue(ctx context.Context, provider, source string) (ended []EndedGrant, err error) {
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return ended, err
		}
		if more, err = s.anyOverdue(ctx, provider, source); err != nil || !more {
			return ended, err // nobody waits for a turn in vain
		}
		var some []EndedGrant
		err = s.write(ctx, "ending decisions that are overdue", func(ctx context.Context, tx querier) (err error) {
			var n int
			some, n, err = s.endOverdue(ctx, tx, provider, source)
			more = n == overdueBatch
			return err
		})
		if err != nil {
			return ended, err
		}
		ended = append(ended, some...)
	}
	return ended, nil
}

// anyOverdue reports whether a source has results for which it is too late to decide.
func (s *Store) anyOverdue(ctx context.Context, provider, source string) (any bool, err error) {
	err = s.read(ctx, "looking for overdue decisions", func(ctx context.Context, db querier) error {
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		var id string
		err = s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&id) },
			"SELECT id FROM journeys WHERE provider = ", provider, " AND source = ", source, " AND state = 'confirm' AND claim_until < ", millis(now), " LIMIT 1")
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		any = err == nil
		return err
	})
	return any, err
}

// endOverdue is a part of [Store.EndOverdue], of n results.
func (s *Store) endOverdue(ctx context.Context, tx querier, provider, source string) (ended []EndedGrant, n int, err error) {
	now, err := s.now(ctx, tx)
	if err != nil {
		return nil, 0, err
	}
	text, args := s.buildQuery("SELECT id FROM journeys WHERE provider = ", provider, " AND source = ", source,
		" AND state = 'confirm' AND claim_until < ", millis(now), " ORDER BY claim_until LIMIT ", overdueBatch, "")
	ids, err := scanStrings(tx.QueryContext(ctx, text, args...))
	if err != nil {
		return nil, 0, err
	}
	for _, id := range ids {
		f, err := s.flowByID(ctx, tx, provider, source, id)
		if errors.Is(err, ErrDamaged) { // it was altered: nobody can decide on it, nor tell the platform
			if err := s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id = ", id, ""); err != nil {
				return nil, 0, err
			}
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if f.next(now, consent.Declined) != consent.Drop {
			continue
		}
		if ended, err = s.dropResult(ctx, tx, f, ended); err != nil {
			return nil, 0, err
		}
	}
	return ended, len(ids), nil
}

// dropWaiting drops the results of an owner that wait for a decision.
func (s *Store) dropWaiting(ctx context.Context, tx querier, o Owner) (ended []EndedGrant, err error) {
	flows, err := s.flowsWithResult(ctx, tx, o, []string{flowConfirm})
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		if ended, err = s.dropResult(ctx, tx, f, ended); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// endResults returns the results of an owner that wait, for a decision or for the
// browser, and whose flows are about to be deleted.
func (s *Store) endResults(ctx context.Context, tx querier, o Owner) (ended []EndedGrant, err error) {
	flows, err := s.flowsWithResult(ctx, tx, o, []string{flowConfirm, flowStaged})
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		if ended, err = s.endedResult(ctx, tx, f, ended); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// flowsWithResult returns the flows of an owner in some states. They are few. One that
// was altered in the database is left out: nobody can complete it.
func (s *Store) flowsWithResult(ctx context.Context, tx querier, o Owner, states []string) (flows []*storedFlow, err error) {
	text, args := s.buildQuery("SELECT id FROM journeys WHERE provider = ", o.Provider, " AND source = ", o.Source,
		" AND state IN ", states, " AND person IN ", s.ownerPseudonyms(o), " ORDER BY id")
	ids, err := scanStrings(tx.QueryContext(ctx, text, args...))
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		f, err := s.flowByID(ctx, tx, o.Provider, o.Source, id)
		switch {
		case errors.Is(err, ErrDamaged):
		case err != nil:
			return nil, err
		case f.owner == o:
			flows = append(flows, f)
		}
	}
	return flows, nil
}

// dropResult ends a flow without its result, which is appended to ended.
func (s *Store) dropResult(ctx context.Context, tx querier, f *storedFlow, ended []EndedGrant) ([]EndedGrant, error) {
	ended, err := s.endedResult(ctx, tx, f, ended)
	if err != nil {
		return nil, err
	}
	return ended, s.endDecided(ctx, tx, f, outcomeKept)
}

// endDecided ends a flow that was decided on.
func (s *Store) endDecided(ctx context.Context, tx querier, f *storedFlow, outcome string) error {
	f.state, f.result = flowDone, f.result.digestOnly()
	f.result.Outcome = outcome
	return s.replaceFlow(ctx, tx, f)
}

// endedResult appends the grant that a flow's result would have become to ended. One
// whose account anybody has in use is not told of: a platform may end all consents of
// an account with one.
func (s *Store) endedResult(ctx context.Context, db querier, f *storedFlow, ended []EndedGrant) ([]EndedGrant, error) {
	r := f.result
	_, err := s.byAccount(ctx, db, f.provider, f.source, r.Account)
	switch {
	case err == nil, errors.Is(err, ErrDamaged): // it is in use all the same
		return ended, nil
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	return append(ended, EndedGrant{Grant: &Grant{
		ID: newID(), Owner: f.owner, Account: r.Account, Label: r.Label, Scopes: r.Scopes, Vendor: r.Vendor, State: Active,
		Secret: delegation.NewSecret(string(r.Secret)), Tokens: r.Tokens.tokens(),
	}}), nil
}
