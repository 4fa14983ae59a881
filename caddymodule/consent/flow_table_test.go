// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"fmt"
	"slices"
	"testing"
)

// TestFlowTable protects the promises of flows from a cell of the table that breaks
// one. The package grants runs the same cells against its databases.
func TestFlowTable(t *testing.T) {
	for m := range modes {
		for s := range states {
			for e := range events {
				t.Run(fmt.Sprintf("mode %d/state %d/event %d", m, s, e), func(t *testing.T) { promises(t, m, s, e, Next(m, s, e)) })
			}
		}
	}
}

func promises(t *testing.T, m Mode, s State, e Event, a Action) {
	claims := e >= Claimed && e <= ClaimedForeign
	changes := []Action{Stage, Finish, Claim, Reopen, Fail, Lapse, Drop}
	decides := e == Accepted || e == Declined
	switch {
	case a == Claim && !(e == Claimed && s == Open || m == ByPage && e == ClaimedAgain && (s == Open || s == Lapsed)):
		t.Error("a token is redeemed twice, in two flows, or by two at once")
	case m == ByCallback && (claims || e >= Redeemed && e <= Left) && a != Gone:
		t.Error("something is redeemed where the platform's server calls")
	case m != ByCallback && e <= CalledOtherwise && a != Gone:
		t.Error("a result comes by a way that the flow does not have")
	case m != ByCallback && e == Redeemed && slices.Contains([]State{Redeeming, Lapsed, Expired}, s) && a != Finish:
		t.Error("a credential is thrown away because it comes late")
	case m == ByRedirect && e == RedeemedAway && slices.Contains([]State{Redeeming, Lapsed, Expired}, s) && a != Stage:
		t.Error("a credential is thrown away whose owner was not there")
	case s == Done && slices.Contains(changes, a):
		t.Error("a flow that has ended changes")
	case s == Confirm && slices.Contains(changes, a) && !decides:
		t.Error("a result counts, or is dropped, that its owner has not decided on")
	case s == Confirm && (e == Accepted && a != Finish || e == Declined && a != Drop):
		t.Error("the owner's decision is not carried out")
	case decides && s != Confirm && slices.Contains(changes, a) && !(s == Expired && a == Drop):
		t.Error("a decision changes a flow that waits for none")
	case s == Confirm && (e == Redeemed && m != ByCallback || e == Returned) && a != Again:
		t.Error("who comes again is not told that the result waits")
	case s == Staged && slices.Contains(changes, a) && a != Finish:
		t.Error("a result is lost that waits for its owner")
	case s == Redeeming && (e == Denied || claims) && slices.Contains(changes, a):
		t.Error("somebody who redeems is disturbed")
	case s == Expired && (claims || e == Returned || e == Denied || e == Called || e == Accepted) && slices.Contains(append(changes, Again, Wait, Busy), a):
		t.Error("a flow goes on for which it is too late")
	case a == Finish && e != Redeemed && !(e == Returned && s == Staged) && !(e == Accepted && s == Confirm):
		t.Error("a flow counts without a result")
	case a == Stage && !(e == Called && s == Open || e == RedeemedAway):
		t.Error("a result replaces another")
	case a == Reopen && (m != ByPage || e != Refused):
		t.Error("a code gives way to another")
	case a == Drop && e != Declined:
		t.Error("a result is dropped without a decision")
	case a == Fail && e != Denied && e != Refused, a == Lapse && e != Left:
		t.Error("a flow ends without a word of the platform")
	case e == ClaimedForeign && m == ByPage && !slices.Contains([]Action{Spent, Gone}, a), e == ClaimedRefused && m == ByPage && !slices.Contains([]Action{Rejected, Gone}, a):
		t.Error("a token is taken that is another's, or was refused")
	}
}

// TestCompletionTable protects the table of completions from a row that is missing,
// which would read as one that uses every credential.
func TestCompletionTable(t *testing.T) {
	for from := range origins {
		for owns := OwnsNothing; owns <= OwnsSuspendedOther; owns++ {
			if c := Complete(from, owns); c == (Completions{}) {
				t.Errorf("origin %d, ownership %d: there is no row", from, owns)
			}
		}
	}
}

// TestSourceCompletions protects a connected account of a data source from one that
// takes its place without its owner's decision, and the other rows of sources from being
// otherwise than those of flows for any browser.
func TestSourceCompletions(t *testing.T) {
	for from, like := range map[Origin]Origin{ConnectSource: ConnectAnywhere, UpdateSource: Update} {
		for owns := OwnsNothing; owns <= OwnsSuspendedOther; owns++ {
			c := Complete(from, owns)
			switch owns {
			case OwnsActiveOther, OwnsSuspendedOther:
				if c != (Completions{AskOwner, AskOwner, AskOwner}) || c.NeedsProbe() {
					t.Errorf("origin %d, ownership %d: the owner is not asked: %v", from, owns, c)
				}
				if d := Complete(Confirmed, owns); d != (Completions{ReplaceOther, ReplaceOther, ReplaceOther}) {
					t.Errorf("ownership %d: the owner's decision leads to %v", owns, d)
				}
			case OwnsActiveOtherNewer:
				if c[0] != DropOlder || Complete(Confirmed, owns)[0] != DropOlder {
					t.Errorf("origin %d: an older tab counts: %v", from, c)
				}
			default:
				if c != Complete(like, owns) {
					t.Errorf("origin %d, ownership %d: %v", from, owns, c)
				}
			}
			if Complete(Confirmed, owns)[0] == ReplaceOther && owns != OwnsActiveOther && owns != OwnsSuspendedOther {
				t.Errorf("ownership %d: a grant is ended that no other account replaces", owns)
			}
		}
	}
}
