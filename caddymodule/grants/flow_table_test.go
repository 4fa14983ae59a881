// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/consent"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The names are in the order of the constants of the package consent.
var (
	modeNames  = []FlowMode{FlowCallback, FlowRedirect, FlowPage}
	stateNames = []string{"open", "redeeming", "lapsed", "staged", "confirm", "done", "expired"}
	eventNames = []string{
		"called", "called again", "called otherwise", "returned", "denied", "claimed", "claimed again", "claimed refused", "claimed foreign",
		"redeemed", "redeemed away", "refused", "left", "accepted", "declined",
	}
)

// flowCell is one cell of the table of flows, with a person and a token of its own.
type flowCell struct {
	mode  consent.Mode
	state consent.State
	event consent.Event
	who   string
	flow  *Flow
	token string
}

// reachable tells whether the event can happen. A call of the platform is the same
// as one before only where there was one.
func (c *flowCell) reachable() bool {
	switch c.event {
	case consent.CalledAgain, consent.CalledOtherwise:
		return c.state == consent.Staged || c.state == consent.Confirm || c.state == consent.Done || c.state == consent.Expired
	case consent.Called:
		return c.state != consent.Staged && c.state != consent.Confirm && c.state != consent.Done
	default:
		return true
	}
}

// hasResult tells whether the flow has a result before the event.
func (c *flowCell) hasResult() bool {
	return c.state == consent.Staged || c.state == consent.Confirm || c.state == consent.Done ||
		c.event == consent.CalledAgain || c.event == consent.CalledOtherwise || c.state == consent.Expired && c.decides()
}

func (c *flowCell) decides() bool { return c.event == consent.Accepted || c.event == consent.Declined }

// prepare writes a flow that is in the state, and the token as the event needs it.
func (c *flowCell) prepare(t *testing.T, s *Store) *ClaimedFlow {
	t.Helper()
	connected(t, s, c.who, "account of "+c.who, "before")
	c.token = "token of " + c.who
	c.flow = begun(t, s, &Flow{Owner: owner(c.who), Kind: FlowConnect, Mode: modeNames[c.mode], Ticket: c.mode == consent.ByPage})
	claim := &ClaimedFlow{Owner: c.flow.Owner, claimID: "claim", ownerSeen: true}
	want(t, "preparing", s.write(t.Context(), "preparing", func(ctx context.Context, tx querier) (err error) {
		f, err := s.flowByToken(ctx, tx, "mydex", "", "back", c.flow.StateToken.Reveal())
		if err != nil {
			return err
		}
		claim.ID, f.claimID = f.id, claim.claimID
		if c.hasResult() {
			f.result = newStoredResult(pendingResult("account of "+c.who, "staged"))
			f.result.Reply = map[string]string{"reply": c.who}
			if f.result.Sequence, err = s.nextSequence(ctx, tx); err != nil {
				return err
			}
		}
		switch c.state {
		case consent.Redeeming:
			f.state, f.claimUntil = flowRedeeming, time.Now().Add(time.Hour)
		case consent.Lapsed:
			f.state = flowRedeeming
		case consent.Staged:
			f.state = flowStaged
		case consent.Confirm:
			f.state, f.claimUntil = flowConfirm, time.Now().Add(time.Hour)
		case consent.Done:
			f.state, f.result = flowDone, f.result.digestOnly()
			if f.result.Outcome = outcomeKept; c.event == consent.Accepted {
				f.result.Outcome = outcomeReplaced
			}
		case consent.Expired:
			switch {
			case c.decides():
				f.state, f.claimUntil = flowConfirm, time.Now().Add(-time.Second)
			case c.hasResult():
				f.state = flowStaged
			case c.event >= consent.ClaimedAgain:
				f.state = flowRedeeming
			}
		}
		if err := s.replaceFlow(ctx, tx, f); err != nil {
			return err
		}
		if c.state == consent.Expired {
			if _, err := s.exec(ctx, tx, "UPDATE journeys SET expires = 1 WHERE id = ", f.id, ""); err != nil {
				return err
			}
		}
		by, refused := f.id, ""
		switch c.event {
		case consent.ClaimedAgain, consent.Redeemed, consent.RedeemedAway, consent.Refused, consent.Left:
		case consent.ClaimedRefused:
			refused = "token_rejected"
		case consent.ClaimedForeign:
			by = "another flow"
		default:
			return nil
		}
		name := s.redeemedPseudonyms(Claim{Owner: c.flow.Owner, OneTimeToken: delegation.NewSecret(c.token)})[0]
		_, err = s.exec(ctx, tx, "INSERT INTO redeemed (token, flow, refused, expires) VALUES (", name, ", ", by, ", ", refused, ", ", millis(time.Now().Add(time.Hour)), ")")
		return err
	}), nil)
	return claim
}

// do has the event happen. again is true if the caller is told what there was.
func (c *flowCell) do(t *testing.T, s *Store, claim *ClaimedFlow) (first, again bool, err error) {
	ret, result := c.flow.returned(), pendingResult("account of "+c.who, "redeemed")
	switch c.event {
	case consent.Called, consent.CalledAgain:
		err = s.Stage(t.Context(), "mydex", "", c.flow.CorrelationID.Reveal(), pendingResult("account of "+c.who, "staged"))
	case consent.CalledOtherwise:
		err = s.Stage(t.Context(), "mydex", "", c.flow.CorrelationID.Reveal(), pendingResult("account of "+c.who, "otherwise"))
	case consent.Returned:
		_, first, err = s.Complete(t.Context(), ret)
		again = err == nil && !first
	case consent.Denied:
		err = s.Deny(t.Context(), ret, "consent_denied")
	case consent.Redeemed:
		_, first, err = s.FinishClaim(t.Context(), claim, result, nil)
		again = err == nil && !first
	case consent.RedeemedAway:
		err = s.StageClaim(t.Context(), claim, result)
	case consent.Refused:
		err = s.RefuseClaim(t.Context(), claim, "token_rejected")
	case consent.Left:
		err = s.LeaveClaim(t.Context(), claim)
	case consent.Accepted, consent.Declined:
		_, err = s.Decide(t.Context(), ret, c.event == consent.Accepted, DeleteOptions{})
		first = err == nil && c.state == consent.Confirm && c.event == consent.Accepted
		again = err == nil && c.state == consent.Done
	default:
		q := Claim{Owner: ret.Owner, StateToken: ret.StateToken, BrowserToken: ret.BrowserToken, OneTimeToken: delegation.NewSecret(c.token), Timeout: time.Minute}
		if c.mode == consent.ByPage {
			q.Ticket = c.flow.CorrelationID.Reveal()
		}
		var f *ClaimedFlow
		if f, err = s.Claim(t.Context(), q); err == nil {
			again = f.Done
		}
	}
	return first, again, err
}

// TestFlowTable runs every cell of the table of flows against a database. It
// protects those who read the table from a code that does something else.
func TestFlowTable(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		ran := 0
		for mode := range modeNames {
			for state := range stateNames {
				for event := range eventNames {
					c := &flowCell{mode: consent.Mode(mode), state: consent.State(state), event: consent.Event(event)}
					if c.reachable() {
						ran++
						c.who = fmt.Sprint("user ", ran)
						t.Run(fmt.Sprintf("%s/%s/%s", modeNames[mode], stateNames[state], eventNames[event]), func(t *testing.T) { c.run(t, s) })
					}
				}
			}
		}
		if ran < 200 {
			t.Errorf("%d cells were run", ran)
		}
	})
}

func (c *flowCell) run(t *testing.T, s *Store) {
	claim := c.prepare(t, s)
	read := func() (f *storedFlow) {
		want(t, "reading", s.read(t.Context(), "reading", func(ctx context.Context, db querier) (err error) {
			f, err = s.flowByID(ctx, db, "mydex", "", claim.ID)
			return err
		}), nil)
		return f
	}
	before := read()
	first, again, err := c.do(t, s, claim)
	after := read()
	action := consent.Next(c.mode, c.state, c.event)
	wantErr, wantState, wantSecret := error(nil), before.state, "before"
	switch action {
	case consent.Gone:
		if c.event != consent.Refused && c.event != consent.Left { // whose caller has nothing to do
			wantErr = ErrNotFound
		}
	case consent.Wait:
		wantErr = ErrPending
	case consent.Busy:
		wantErr = ErrClaimed
	case consent.Spent:
		wantErr = ErrSpent
	case consent.Rejected:
		wantErr = &EndedError{}
	case consent.Stage:
		wantState = flowStaged
	case consent.Finish:
		if wantState, wantSecret = flowDone, "redeemed"; c.event != consent.Redeemed {
			wantSecret = "staged"
		}
	case consent.Claim, consent.Lapse:
		wantState = flowRedeeming
	case consent.Reopen:
		wantState = flowOpen
	case consent.Fail, consent.Drop:
		wantState = flowDone
	case consent.Again:
		if c.state == consent.Confirm && (c.event == consent.Returned || c.event == consent.Redeemed) {
			wantErr = ErrConfirm
		}
	}
	if _, isEnded := errors.AsType[*EndedError](wantErr); isEnded {
		ended, ok := errors.AsType[*EndedError](err)
		if !ok || ended.Reason != "token_rejected" {
			t.Errorf("%v", err)
		}
	} else {
		want(t, "the error", err, wantErr)
	}
	if after.state != wantState || first != (action == consent.Finish) || again != (action == consent.Again && wantErr == nil) {
		t.Errorf("it is %s, first %t, again %t; want %s", after.state, first, again, wantState)
	}
	claimed := after.claimID != before.claimID && after.claimID != "" && time.Until(after.claimUntil) > time.Minute-time.Second
	if claimed != (action == consent.Claim) || action == consent.Lapse && !after.claimUntil.IsZero() {
		t.Errorf("the claim is %q until %s", after.claimID, after.claimUntil)
	}
	if action == consent.Fail && after.result.Reason == "" || after.state == flowDone && !after.secret.isZero() {
		t.Errorf("it has ended with %+v", after.result)
	}
	holds(t, s, c.who, "account of "+c.who, wantSecret)
}
