// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// claimMargin is how much longer a claim lasts than the platform's call may
	// take: for the database, before and after.
	claimMargin = 5 * time.Second

	// redeemedLifetime is how long a token counts as claimed. Platforms' one-time
	// tokens live for minutes.
	redeemedLifetime = 24 * time.Hour
)

// Claim is something that was brought to be redeemed: a code in the address that a
// browser comes back to, or a one-time token that a page or an app has posted.
type Claim struct {
	// Owner is the person whose session brings it; the zero Person if nobody is
	// signed in, which suffices with StateToken or Ticket.
	Owner
	// StateToken finds a flow of [FlowRedirect], Ticket one of [FlowPage] with
	// [Flow.Ticket]. Without either it is the flow of [FlowPage] that the owner has
	// begun last in the browser of BrowserToken and that is open, or the one that
	// has claimed the token already.
	StateToken, BrowserToken, Ticket string
	// AnyBrowser allows a flow that was begun with [Flow.AnyBrowser].
	AnyBrowser bool
	// OneTimeToken is what is to be redeemed.
	OneTimeToken delegation.Secret
	// Timeout bounds the platform's call. Five seconds after that another claim
	// may follow.
	Timeout time.Duration
}

// ClaimedFlow is a flow that the caller alone redeems in, until its claim has ended
// by [Store.FinishClaim], [Store.StageClaim], [Store.RefuseClaim] or
// [Store.LeaveClaim].
type ClaimedFlow struct {
	// Owner has begun the flow.
	Owner
	// ID names the flow in the database.
	ID string
	// Scopes, ReturnURL, Verifier and Secret are those of the [Flow].
	Scopes           []string
	ReturnURL        string
	Verifier, Secret delegation.Secret

	// Done reports that there is nothing to redeem, because that was done before:
	// the flow has ended with a grant, or its result waits for [Store.Complete].
	// Reply is then what was answered.
	Done  bool
	Reply map[string]string

	claimID   string
	ownerSeen bool // or the ticket, which only the owner was given
}

// Claim makes the caller the one who redeems a token, once among all machines, and
// notes the token in the same transaction. The error is [ErrNotFound] if there is
// no such flow any more, or what was redeemed in it has an unknown outcome: begin
// anew; [ErrForeignFlow]; [ErrClaimed] while somebody redeems, which is to be asked
// again; [ErrSpent] if another flow has claimed the token; an [EndedError] with the
// reason for which the platform has refused it, or for which the flow has ended;
// beside a flow that is Done one of [Store.Complete] if its result was not used;
// [ErrDamaged] or [ErrUnavailable].
func (s *Store) Claim(ctx context.Context, c Claim) (*ClaimedFlow, error) {
	const operation = "claiming a consent flow"
	ctx = delegation.Detach(ctx)
	var j *judgedClaim
	judge := func(ctx context.Context, db querier) (err error) {
		j, err = s.judgeClaim(ctx, db, c)
		return err
	}
	// Whoever waits for another's outcome does not have writers wait.
	err := s.read(ctx, operation, judge)
	if errors.Is(err, ErrNotFound) || err == nil && j.action == consent.Gone {
		// Another machine may have ended the flow between the reading of the token
		// and that of the flow: the token tells now.
		err = s.read(ctx, operation, judge)
	}
	if err != nil || j.action != consent.Claim {
		return j.answer(c, err)
	}
	again := false
	err = s.writeRow(ctx, operation, func(ctx context.Context, tx querier) error {
		if again {
			if err := judge(ctx, tx); err != nil || j.action != consent.Claim {
				return err
			}
		}
		again = true
		return s.takeClaim(ctx, tx, c, j)
	})
	return j.answer(c, err)
}

// judgedClaim is a claim with what the table of flows says of it.
type judgedClaim struct {
	flow    *storedFlow
	event   consent.Event
	action  consent.Action
	refused string // why the platform has refused the token; empty if it has not
	now     time.Time
}

// judgeClaim finds the flow of a claim and asks the table.
func (s *Store) judgeClaim(ctx context.Context, db querier, c Claim) (*judgedClaim, error) {
	now, err := s.now(ctx, db)
	if err != nil {
		return nil, err
	}
	j := &judgedClaim{now: now, event: consent.Claimed}
	claimedBy := ""
	if err := s.queryRow(ctx, db, func(row scanner) error { return row.Scan(&claimedBy, &j.refused) },
		"SELECT flow, refused FROM redeemed WHERE token IN ", s.redeemedPseudonyms(c), ""); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if j.flow, err = s.claimedFlow(ctx, db, c, claimedBy, now); err != nil {
		return nil, err
	}
	switch {
	case claimedBy == "":
	case claimedBy != j.flow.id:
		j.event = consent.ClaimedForeign
	case j.refused != "":
		j.event = consent.ClaimedRefused
	default:
		j.event = consent.ClaimedAgain
	}
	j.action = j.flow.next(now, j.event)
	return j, nil
}

// claimedFlow finds the flow of a claim. claimedBy is the id of the flow that has
// claimed the token already; empty if none.
func (s *Store) claimedFlow(ctx context.Context, db querier, c Claim, claimedBy string, now time.Time) (*storedFlow, error) {
	switch {
	case c.Ticket != "":
		f, err := s.flowByToken(ctx, db, c.Provider, c.Source, "link", c.Ticket)
		if err == nil && !f.ticket {
			err = ErrNotFound
		}
		return f, err
	case c.StateToken != "":
		return s.flowOfBrowser(ctx, db, Return{Owner: c.Owner, StateToken: c.StateToken, BrowserToken: c.BrowserToken, AnyBrowser: c.AnyBrowser})
	}
	if claimedBy != "" {
		f, err := s.flowByID(ctx, db, c.Provider, c.Source, claimedBy)
		if err == nil && f.owner == c.Owner && s.isBrowser(f, c.BrowserToken, c.AnyBrowser) {
			return f, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return s.latestPageFlow(ctx, db, c, now)
}

// latestPageFlow returns the flow that an owner's page has begun last in a browser:
// an open one, or else one that is claimed.
func (s *Store) latestPageFlow(ctx context.Context, db querier, c Claim, now time.Time) (*storedFlow, error) {
	browsers := s.tokenPseudonyms("browser", c.BrowserToken)
	if c.AnyBrowser {
		browsers = append(browsers, "")
	}
	f, err := s.queryFlow(ctx, db, "SELECT "+flowColumns+" FROM journeys WHERE provider = ", c.Provider, " AND source = ", c.Source,
		" AND mode = 'page' AND state IN ('open', 'redeeming') AND expires > ", millis(now), " AND person IN ", s.ownerPseudonyms(c.Owner), " AND browser IN ", browsers,
		" ORDER BY CASE state WHEN 'open' THEN 0 ELSE 1 END, created DESC, id LIMIT 1")
	if err == nil && (f.owner != c.Owner || f.ticket || !s.isBrowser(f, c.BrowserToken, c.AnyBrowser)) {
		return nil, ErrNotFound
	}
	return f, err
}

// redeemedPseudonyms name a one-time token in the database, by all keys of the
// keyset, the primary's first. The provider is no part of it: a token counts once
// also where two providers are of the same platform, or one was renamed.
func (s *Store) redeemedPseudonyms(c Claim) []string {
	return s.keys.Names("one-time token", c.OneTimeToken.Reveal())
}

// takeClaim writes a claim, and the token's pseudonyms: by all keys of the keyset,
// because another machine that claims the same token in another flow may have
// another primary key, and does not wait for this one. The error is errChanged if
// the flow or the token was claimed after it was read.
func (s *Store) takeClaim(ctx context.Context, tx querier, c Claim, j *judgedClaim) error {
	f := j.flow
	f.claimID, f.claimUntil = newID(), j.now.Add(c.Timeout+claimMargin)
	if err := s.writeClaim(ctx, tx, f, flowRedeeming); err != nil {
		return err
	}
	if j.event == consent.ClaimedAgain {
		return nil
	}
	// In the same order everywhere, or two machines could wait for each other.
	for _, token := range slices.Sorted(slices.Values(s.redeemedPseudonyms(c))) {
		n, err := s.exec(ctx, tx, "INSERT INTO redeemed (token, flow, refused, expires) VALUES (", token, ", ", f.id, ", '', ", millis(j.now.Add(redeemedLifetime)), ") ON CONFLICT DO NOTHING")
		if err == nil && n == 0 {
			err = errChanged
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeClaim writes a flow's state and claim. Nothing of it is sealed. The error is
// errChanged if it was claimed, or written otherwise, after it was read.
func (s *Store) writeClaim(ctx context.Context, tx querier, f *storedFlow, state string) error {
	f.state = state
	n, err := s.exec(ctx, tx, "UPDATE journeys SET state = ", state, ", claim_id = ", f.claimID, ", claim_until = ", optionalMillis(f.claimUntil),
		" WHERE id = ", f.id, " AND state = ", f.read.state, " AND claim_id = ", f.read.claimID, "")
	if err == nil && n == 0 {
		err = errChanged
	}
	return err
}

// answer is what [Store.Claim] returns.
func (j *judgedClaim) answer(c Claim, err error) (*ClaimedFlow, error) {
	if err != nil {
		return nil, err
	}
	f := j.flow
	switch j.action {
	case consent.Claim:
		return &ClaimedFlow{
			Owner: f.owner, ID: f.id, Scopes: f.secret.Scopes, ReturnURL: f.secret.ReturnURL,
			Verifier: secretOf(f.secret.Verifier), Secret: secretOf(f.secret.Secret),
			claimID: f.claimID, ownerSeen: c.Ticket != "" || c.Person == f.owner.Person,
		}, nil
	case consent.Again:
		if f.result.Reason != "" {
			return nil, &EndedError{f.result.Reason}
		}
		return &ClaimedFlow{Owner: f.owner, ID: f.id, Done: true, Reply: f.result.Reply}, f.result.outcome()
	case consent.Busy:
		return nil, ErrClaimed
	case consent.Spent:
		return nil, ErrSpent
	case consent.Rejected:
		return nil, &EndedError{j.refused}
	default: // consent.Gone
		return nil, ErrNotFound
	}
}
