// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestT69_Ticket protects an app's ticket, which is all that its SDK has: it works
// without a session, for its own flow, and once.
func TestT69_Ticket(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		j := newFlow("alice")
		j.Mode, j.Ticket, j.Lifetime = FlowPage, true, 10*time.Minute
		begun(t, s, j)
		redeem := func(token string) Claim {
			return Claim{Owner: Owner{Provider: "mydex"}, Ticket: j.CorrelationID.Reveal(), OneTimeToken: delegation.NewSecret(token), Timeout: time.Minute}
		}
		f := claimed(t, s, redeem("token"))
		if f.Owner != owner("alice") {
			t.Errorf("it is for %+v", f.Owner)
		}
		finished(t, s, f, "1", "key")
		if f, err := s.Claim(t.Context(), redeem("token")); err != nil || !f.Done || f.Reply["publicToken"] != "public-1" {
			t.Errorf("again: %+v %v", f, err)
		}
		_, err := s.Claim(t.Context(), redeem("another"))
		want(t, "another token", err, ErrNotFound)
		holds(t, s, "alice", "1", "key")

		// What is no ticket does not become one, nor a ticket a page's flow.
		other := redeem("token")
		other.Provider = "other"
		_, err = s.Claim(t.Context(), other)
		want(t, "another provider's", err, ErrNotFound)
		page := pageFlow(t, s, "bob")
		noTicket := redeem("new")
		noTicket.Ticket = page.CorrelationID.Reveal()
		_, err = s.Claim(t.Context(), noTicket)
		want(t, "a page's flow", err, ErrNotFound)
		late := newFlow("carol")
		late.Mode, late.Ticket = FlowPage, true
		begun(t, s, late)
		_, err = s.Claim(t.Context(), Claim{Owner: owner("carol"), AnyBrowser: true, OneTimeToken: delegation.NewSecret("new")})
		want(t, "its owner, without the ticket", err, ErrNotFound)
		alter(t, s, "UPDATE journeys SET expires = 1")
		c := redeem("new")
		c.Ticket = late.CorrelationID.Reveal()
		_, err = s.Claim(t.Context(), c)
		want(t, "late", err, ErrNotFound)
	})
}

// TestT59_CodeOfAnother protects a person whose browser is led back with the state
// or the code of somebody else: it counts only in the browser that set out, and for
// nobody but who did, signed in.
func TestT59_CodeOfAnother(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		redirect := func(who string) *Flow {
			f := newFlow(who)
			f.Mode = FlowRedirect
			return begun(t, s, f)
		}
		attack, victim := redirect("mallory"), redirect("alice")
		for what, c := range map[string]Claim{
			"her name and browser":       {Owner: victim.Owner, BrowserToken: victim.BrowserToken.Reveal()},
			"his name, her browser":      {Owner: attack.Owner, BrowserToken: victim.BrowserToken.Reveal()},
			"her name, his browser":      {Owner: victim.Owner, BrowserToken: attack.BrowserToken.Reveal()},
			"nobody, her browser":        {Owner: Owner{Provider: "mydex"}, BrowserToken: victim.BrowserToken.Reveal()},
			"his name, whatever browser": {Owner: attack.Owner, AnyBrowser: true},
		} {
			c.StateToken, c.OneTimeToken = attack.StateToken.Reveal(), delegation.NewSecret("code")
			_, err := s.Claim(t.Context(), c)
			want(t, what, err, ErrForeignFlow)
			want(t, what, s.Deny(t.Context(), Return{Owner: c.Owner, StateToken: c.StateToken, BrowserToken: c.BrowserToken, AnyBrowser: c.AnyBrowser}, "consent_denied"), ErrForeignFlow)
		}
		// A code that was claimed in one flow is none in another.
		finished(t, s, claimed(t, s, victim.code("hers")), "1", "key")
		_, err := s.Claim(t.Context(), attack.code("hers"))
		want(t, "her code", err, ErrSpent)
		_, err = s.Claim(t.Context(), Claim{Owner: ownerOf("other", "mallory"), StateToken: attack.StateToken.Reveal(), BrowserToken: attack.BrowserToken.Reveal()})
		want(t, "another provider", err, ErrNotFound)

		// Nobody is signed in any more in the browser that set out: the code is
		// redeemed while it lives, and counts when its owner is seen.
		away := redirect("bob")
		nobody := away.code("code")
		nobody.Person = delegation.Person{}
		f := claimed(t, s, nobody)
		_, _, err = s.FinishClaim(t.Context(), f, pendingResult("2", "key"), nil)
		want(t, "at once", err, ErrForeignFlow)
		want(t, "for later", s.StageClaim(t.Context(), f, pendingResult("2", "key")), nil)
		holds(t, s, "bob", "", "")
		_, _, err = s.Complete(t.Context(), Return{Owner: Owner{Provider: "mydex"}, StateToken: away.StateToken.Reveal(), BrowserToken: away.BrowserToken.Reveal()})
		want(t, "nobody", err, ErrForeignFlow)
		other := away.returned()
		other.Owner = owner("mallory")
		_, _, err = s.Complete(t.Context(), other)
		want(t, "another", err, ErrForeignFlow)
		if again, err := s.Claim(t.Context(), away.code("code")); err != nil || !again.Done {
			t.Errorf("the page is loaded again: %+v %v", again, err)
		}
		if _, first, err := s.Complete(t.Context(), away.returned()); err != nil || !first {
			t.Errorf("bob: %t %v", first, err)
		}
		holds(t, s, "bob", "2", "key")
	})
}

// TestDeny protects the page from waiting for what the person has declined, and a
// result from a browser that brings both.
func TestDeny(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		for _, mode := range []FlowMode{FlowCallback, FlowRedirect} {
			j := newFlow("alice")
			j.Mode = mode
			begun(t, s, j)
			nobody := j.returned()
			nobody.Person = delegation.Person{}
			want(t, "declined", s.Deny(t.Context(), nobody, "consent_denied"), nil)
			want(t, "again", s.Deny(t.Context(), j.returned(), "another word"), nil)
			_, _, err := s.Complete(t.Context(), j.returned())
			refusedFor(t, "status", err, "consent_denied")
			want(t, "nothing is under way", s.Pending(t.Context(), owner("alice")), ErrNotFound)
			want(t, "a call", s.Stage(t.Context(), "mydex", "", j.CorrelationID.Reveal(), pendingResult("1", "key")), ErrNotFound)
			_, err = s.Claim(t.Context(), j.code("code"))
			if mode == FlowRedirect {
				refusedFor(t, "a code", err, "consent_denied")
			} else {
				want(t, "a code", err, ErrNotFound)
			}
			holds(t, s, "alice", "", "")
		}
		j := stagedFlow(t, s, newFlow("bob"), "2", "key")
		want(t, "declined with a result", s.Deny(t.Context(), j.returned(), "consent_denied"), nil)
		_, _, err := s.Complete(t.Context(), j.returned())
		want(t, "status", err, nil)
		holds(t, s, "bob", "2", "key")
	})
}

// TestOutcomeShared protects who posts a token again whose result was not used: they
// are told the same, not that they are connected.
func TestOutcomeShared(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "alice", "1", "key")
		conflict, refused := pageFlow(t, s, "bob"), pageFlow(t, s, "carol")
		_, first, err := s.FinishClaim(t.Context(), claimed(t, s, conflict.post("bobs")), pendingResult("1", "another"), nil)
		if want(t, "hers", err, ErrConflict); !first {
			t.Error("it has not ended")
		}
		_, _, err = s.FinishClaim(t.Context(), claimed(t, s, refused.post("carols")), pendingResult("2", "key"), refuseProbe)
		want(t, "refused", err, ErrProbeRefused)
		for range 2 {
			f, err := s.Claim(t.Context(), conflict.post("bobs"))
			if want(t, "hers, again", err, ErrConflict); f == nil || !f.Done {
				t.Errorf("%+v", f)
			}
			f, err = s.Claim(t.Context(), refused.post("carols"))
			if want(t, "refused, again", err, ErrProbeRefused); f == nil || !f.Done {
				t.Errorf("%+v", f)
			}
		}
		holds(t, s, "alice", "1", "key")
	})
}

// TestT70_DeletedWhileRedeemed protects who has had their data deleted while a
// machine was redeeming for them: what it comes back with does not connect them
// again, and it is told.
func TestT70_DeletedWhileRedeemed(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		for what, end := range map[string]func(f *ClaimedFlow) error{
			"a grant": func(f *ClaimedFlow) error {
				_, _, err := s.FinishClaim(t.Context(), f, pendingResult("1", "key"), nil)
				return err
			},
			"staged":    func(f *ClaimedFlow) error { return s.StageClaim(t.Context(), f, pendingResult("1", "key")) },
			"refused":   func(f *ClaimedFlow) error { return s.RefuseClaim(t.Context(), f, "token_rejected") },
			"uncertain": func(f *ClaimedFlow) error { return s.LeaveClaim(t.Context(), f) },
		} {
			j := newFlow("alice")
			j.Mode = FlowRedirect
			begun(t, s, j)
			f := claimed(t, s, j.code(what))
			want(t, "deleting", s.DeleteByOwner(t.Context(), owner("alice")), nil)
			wantErr := ErrNotFound
			if what == "refused" || what == "uncertain" {
				wantErr = nil
			}
			want(t, what, end(f), wantErr)
			holds(t, s, "alice", "", "")
			want(t, "nothing is under way", s.Pending(t.Context(), owner("alice")), ErrNotFound)
		}
	})
}
