// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// confirmLifetime is how long a result waits for its owner's decision.
const confirmLifetime = time.Hour

// The outcomes of a flow that was decided on, as its row keeps them.
const (
	outcomeReplaced = "replaced"
	outcomeKept     = "kept"
)

// Decide carries out the owner's decision on a result that waits for it: with replace
// it takes the place of the grant in use, which is deleted; otherwise the result is
// dropped. ret finds the flow by its StateToken or Handle, or without one as that which waits in
// the browser of BrowserToken. Other results of the owner that wait are dropped too: there is one
// decision. how is as for [Store.EndByOwner]. ended are the grant and the results that have ended by it, for the platform
// to be told with, also beside an error; what is of an account in use is not among them.
// The same decision again changes nothing. The error is [ErrNotFound] if nothing waits, or the owner
// has consented to something later; [ErrConflict] if somebody else has the account by now;
// [ErrForeignFlow], [ErrDamaged] or [ErrUnavailable].
func (s *Store) Decide(ctx context.Context, ret Return, replace bool, how DeleteOptions) (ended []EndedGrant, err error) {
	var outcome error // the transaction is committed with it
	event, name := consent.Declined, outcomeKept
	if replace {
		event, name = consent.Accepted, outcomeReplaced
	}
	err = s.write(ctx, "deciding between two accounts", func(ctx context.Context, tx querier) error {
		ended, outcome = nil, nil
		f, err := s.flowToDecide(ctx, tx, ret)
		if err != nil {
			return err
		}
		now, err := s.now(ctx, tx)
		if err != nil {
			return err
		}
		switch f.next(now, event) {
		case consent.Again:
			if f.result.Outcome != name {
				return ErrNotFound
			}
			return nil
		case consent.Finish:
			if ended, outcome, err = s.replaceAccount(ctx, tx, f, how); err != nil {
				return err
			}
			if outcome == nil {
				if err := s.endDecided(ctx, tx, f, name); err != nil {
					return err
				}
			}
		case consent.Drop: // with the others
		default: // consent.Gone
			return ErrNotFound
		}
		dropped, err := s.dropWaiting(ctx, tx, f.owner)
		if ended = append(ended, dropped...); err != nil || !how.Revocable {
			return err
		}
		return s.queueEnded(ctx, tx, ended, now, how.Term)
	})
	if err != nil {
		return nil, err
	}
	return ended, outcome
}

// Waiting returns the grant that a result would become which waits for its owner's
// decision, found as by [Store.Decide]. The error is [ErrNotFound] if there is none,
// [ErrForeignFlow], [ErrDamaged] or [ErrUnavailable].
func (s *Store) Waiting(ctx context.Context, ret Return) (g *Grant, err error) {
	err = s.read(ctx, "looking for an account that waits", func(ctx context.Context, db querier) error {
		f, err := s.flowToDecide(ctx, db, ret)
		if err != nil {
			return err
		}
		now, err := s.now(ctx, db)
		if err != nil {
			return err
		}
		if f.next(now, consent.Accepted) != consent.Finish {
			return ErrNotFound
		}
		var inUse *Grant
		if g, inUse, err = s.resultAndInUse(ctx, db, f); err != nil {
			return err
		}
		if consent.Complete(consent.Confirmed, ownershipOf(g, inUse))[ProbeAccepted] != consent.ReplaceOther {
			return ErrNotFound // what is in use was consented to later, or is the same account
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// flowToDecide returns the flow on which an owner decides, or has decided: the one of
// ret's StateToken or Handle, else that which waits in the browser, else the one that ended
// there last.
func (s *Store) flowToDecide(ctx context.Context, db querier, ret Return) (*storedFlow, error) {
	if ret.Person == (delegation.Person{}) {
		return nil, ErrForeignFlow
	}
	if ret.StateToken != "" || ret.Handle != "" {
		return s.flowOfBrowser(ctx, db, ret)
	}
	if ret.BrowserToken == "" {
		return nil, ErrNotFound
	}
	f, err := s.queryFlow(ctx, db, "SELECT "+flowColumns+" FROM journeys WHERE provider = ", ret.Provider, " AND source = ", ret.Source,
		" AND state IN ('confirm', 'done') AND person IN ", s.ownerPseudonyms(ret.Owner), " AND browser IN ", s.tokenPseudonyms("browser", ret.BrowserToken),
		" ORDER BY CASE state WHEN 'confirm' THEN 0 ELSE 1 END, claim_until DESC, id LIMIT 1")
	if err == nil && f.owner != ret.Owner {
		err = ErrForeignFlow
	}
	return f, err
}

// askOwner has a flow's result wait for its owner's decision. outcome is the error for
// the browser's user: [ErrConfirm], or [ErrConflict] if the account is another owner's,
// whose consent at the platform it may be: the result is dropped then.
func (s *Store) askOwner(ctx context.Context, tx querier, f *storedFlow) (outcome, err error) {
	foreign, err := s.isForeign(ctx, tx, f.owner, f.result.Account)
	switch {
	case err != nil:
		return nil, err
	case foreign:
		return ErrConflict, nil
	}
	// The platform is told of this one if the owner does not decide for it.
	if err := s.dropRevocations(ctx, tx, f.unused()); err != nil {
		return nil, err
	}
	f.state, f.claimUntil = flowConfirm, f.judged.Add(confirmLifetime)
	f.secret = storedSecret{Ends: f.secret.Ends} // nobody redeems in it any more, but the grant has to end
	return ErrConfirm, nil
}

// isForeign reports whether an account is in use by another owner.
func (s *Store) isForeign(ctx context.Context, db querier, o Owner, account string) (bool, error) {
	other, err := s.byAccount(ctx, db, o.Provider, o.Source, account)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && other.Owner != o, err
}

// replaceAccount puts the result of a flow into use that its owner has decided for.
// outcome is the error for the browser's user, of a result that is not used.
func (s *Store) replaceAccount(ctx context.Context, tx querier, f *storedFlow, how DeleteOptions) (ended []EndedGrant, outcome, err error) {
	result, inUse, err := s.resultAndInUse(ctx, tx, f)
	if err != nil {
		return nil, nil, err
	}
	if foreign, err := s.isForeign(ctx, tx, f.owner, result.Account); err != nil || foreign {
		return nil, ErrConflict, err
	}
	switch consent.Complete(consent.Confirmed, ownershipOf(result, inUse))[ProbeAccepted] {
	case consent.DropOlder:
		return nil, ErrNotFound, nil
	case consent.ReplaceOther:
		if ended, err = s.endGrant(ctx, tx, inUse, how); err != nil {
			return nil, nil, err
		}
	}
	return ended, nil, s.putInUse(ctx, tx, result, false)
}

// endGrant deletes one grant, and returns it for the platform to be told with; nothing
// if somebody else has its account by now.
func (s *Store) endGrant(ctx context.Context, tx querier, g *Grant, how DeleteOptions) ([]EndedGrant, error) {
	uncertain := 0
	var row *sealedGrant
	err := s.queryRow(ctx, tx, func(r scanner) (err error) {
		row, err = scanGrant(scannerAfter{r, &uncertain})
		return err
	}, "DELETE FROM grants WHERE id = ", g.ID, " RETURNING attempts, "+grantColumns)
	if errors.Is(err, ErrNotFound) {
		return nil, errChanged
	}
	if err != nil {
		return nil, err
	}
	opened, err := s.openEnded(ctx, tx, row, g.Owner, how.Client)
	spared := errors.Is(err, ErrNotFound)
	if err != nil && !spared {
		return nil, err
	}
	if err := s.deleteRowKeys(ctx, tx, row.rowKey); err != nil || spared {
		return nil, err
	}
	return []EndedGrant{{Revocation: &Revocation{Grant: opened, Uncertain: uncertain > 0}}}, nil
}
