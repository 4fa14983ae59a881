// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
)

// dropOverdue drops up to limit results of a source that were not decided on, or not
// fetched by their owner, in time, and has the platform told of them. It returns how many. The error is
// [ErrUnavailable].
func (s *Store) dropOverdue(ctx context.Context, provider, source string, limit int) (n int, err error) {
	err = s.write(ctx, "dropping results that are overdue", func(ctx context.Context, tx querier) error {
		n = 0
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		text, args := s.buildQuery("SELECT id FROM journeys WHERE state = 'confirm' AND claim_until < ", millis(now), " AND provider = ", provider, " AND source = ", source,
			" UNION ALL SELECT id FROM journeys WHERE state = 'staged' AND source <> '' AND expires < ", millis(now.Add(-returnGraceAnyBrowser)), " AND provider = ", provider, " AND source = ", source,
			" LIMIT ", limit, "")
		ids, err := scanStrings(tx.QueryContext(ctx, text, args...))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.dropIfOverdue(ctx, tx, provider, source, id, now); err != nil {
				return err
			}
		}
		n = len(ids)
		return nil
	})
	return n, err
}

// dropIfOverdue drops one result. A flow that was altered in the database is deleted:
// nobody can decide on it, nor tell the platform.
func (s *Store) dropIfOverdue(ctx context.Context, tx querier, provider, source, id string, now time.Time) error {
	f, err := s.flowByID(ctx, tx, provider, source, id)
	switch {
	case errors.Is(err, ErrDamaged):
		return s.deleteRows(ctx, tx, "DELETE FROM journeys WHERE id = ", id, "")
	case err != nil:
		return err
	case f.next(now, consent.Declined) != consent.Drop:
		return nil
	}
	dropped := f.unused()
	if err := s.endDecided(ctx, tx, f, outcomeKept); err != nil {
		return err
	}
	if waits, err := s.isAccountWaiting(ctx, tx, dropped); err != nil || waits {
		return err
	}
	return s.queueRevocation(ctx, tx, dropped)
}

// isAccountWaiting reports whether a result of the same owner and account waits for them
// in another flow, of one that has ended already.
func (s *Store) isAccountWaiting(ctx context.Context, tx querier, g *Grant) (bool, error) {
	waiting, err := s.stagedResults(ctx, tx, []any{" FROM journeys WHERE provider = ", g.Provider, " AND source = ", g.Source, " AND person IN ", s.ownerPseudonyms(g.Owner), ""})
	return slices.ContainsFunc(waiting, func(w *Grant) bool { return w.Owner == g.Owner && w.Account == g.Account }), err
}

// dropWaiting drops the results of an owner that wait for a decision.
func (s *Store) dropWaiting(ctx context.Context, tx querier, o Owner) (ended []EndedGrant, err error) {
	text, args := s.buildQuery("SELECT id FROM journeys WHERE state = 'confirm' AND provider = ", o.Provider, " AND source = ", o.Source,
		" AND person IN ", s.ownerPseudonyms(o), " ORDER BY id")
	ids, err := scanStrings(tx.QueryContext(ctx, text, args...))
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		f, err := s.flowByID(ctx, tx, o.Provider, o.Source, id)
		switch {
		case errors.Is(err, ErrDamaged): // nobody can decide on it, and it is deleted when it is overdue
			continue
		case err != nil:
			return nil, err
		case f.owner != o:
			continue
		}
		if ended, err = s.dropResult(ctx, tx, f, ended); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// dropResult ends a flow without its result, which is appended to ended unless a grant in
// use has its account.
func (s *Store) dropResult(ctx context.Context, tx querier, f *storedFlow, ended []EndedGrant) ([]EndedGrant, error) {
	g := f.unused()
	used, err := s.isAccountInUse(ctx, tx, g)
	if err != nil {
		return nil, err
	}
	if !used {
		ended = append(ended, EndedGrant{Revocation: &Revocation{Grant: g}})
	}
	return ended, s.endDecided(ctx, tx, f, outcomeKept)
}

// endDecided ends a flow that was decided on.
func (s *Store) endDecided(ctx context.Context, tx querier, f *storedFlow, outcome string) error {
	f.state, f.result = flowDone, f.result.digestOnly()
	f.result.Outcome = outcome
	if f.startsByTicket() {
		f.link = s.tokenPseudonym("link", rand.Text()) // the handle has been used
	}
	return s.replaceFlow(ctx, tx, f)
}
