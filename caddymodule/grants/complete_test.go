// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// stagedFlow begins a consent flow for somebody, and has the platform tell of it.
func stagedFlow(t *testing.T, s *Store, j *Flow, account, secret string) *Flow {
	t.Helper()
	begun(t, s, j)
	want(t, "told", s.Stage(t.Context(), "mydex", "", j.CorrelationID.Reveal(), pendingResult(account, secret)), nil)
	return j
}

func newFlow(who string) *Flow { return &Flow{Owner: owner(who), Kind: FlowConnect} }

// returned is the browser that set out, coming back.
func (j *Flow) returned() Return {
	return Return{Owner: j.Owner, StateToken: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal(), AnyBrowser: j.AnyBrowser}
}

func refuseProbe(context.Context, *Grant, bool) ProbeResult { return ProbeRefused }

// states counts the grants by their state.
func states(t *testing.T, s *Store) string {
	t.Helper()
	n := make(map[State]int)
	for _, g := range all(t, s) {
		n[g.State]++
	}
	return fmt.Sprintf("%d active, %d suspended, %d conflict, %d retired", n[Active], n[Suspended], n[Conflict], n[Retired])
}

// TestOlderFlowCompletedLater protects a good key from a tab that was left open: what
// somebody has consented to last counts, whichever browser is back last. The
// platform may not accept the older key any more.
func TestOlderFlowCompletedLater(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		for _, account := range []string{"1", "2"} {
			older := stagedFlow(t, s, newFlow("alice"), "1", "old")
			newer := stagedFlow(t, s, newFlow("alice"), account, "new")
			_, first, err := s.Complete(t.Context(), newer.returned())
			if err != nil || !first {
				t.Errorf("the newer: %t %v", first, err)
			}
			g, first, err := s.Complete(t.Context(), older.returned())
			if err != nil || first || g.Account != account {
				t.Errorf("the older: %+v %t %v", g, first, err)
			}
			holds(t, s, "alice", account, "new")
		}
	})
}

// TestProbeRefused protects a good key from one that the platform does not accept:
// that is kept aside. Who has nothing better has it put aside as their own, so
// that it can be tried again.
func TestProbeRefused(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		try := func(j *Flow) (first bool, err error) {
			a := j.returned()
			a.Probe = refuseProbe
			_, first, err = s.Complete(t.Context(), a)
			return first, err
		}
		j := stagedFlow(t, s, newFlow("bob"), "9", "key-9")
		first, err := try(j)
		want(t, "nothing better", err, ErrProbeRefused)
		if g, err := s.Find(t.Context(), owner("bob")); !first || err != nil || g.State != Suspended || g.Secret.Reveal() != "key-9" {
			t.Errorf("%t %+v %v", first, g, err)
		}
		if first, err := try(j); first || err != nil {
			t.Errorf("again: %t %v", first, err)
		}

		connected(t, s, "alice", "1", "good")
		for what, j := range map[string]*Flow{
			"the same account": stagedFlow(t, s, newFlow("alice"), "1", "bad"),
			"another account":  stagedFlow(t, s, newFlow("alice"), "2", "bad"),
			"an update":        stagedFlow(t, s, &Flow{Owner: owner("alice"), Kind: FlowUpdate}, "1", "bad"),
		} {
			first, err := try(j)
			want(t, what, err, ErrProbeRefused)
			if !first {
				t.Errorf("%s: it has not ended", what)
			}
			holds(t, s, "alice", "1", "good")
		}
		if got := states(t, s); got != "1 active, 1 suspended, 0 conflict, 3 retired" {
			t.Error(got)
		}
		// Nobody is asked of what is over, of another's, or of what is not told.
		over := j.returned()
		over.Probe = func(context.Context, *Grant, bool) ProbeResult { t.Error("tried"); return ProbeAccepted }
		_, _, _ = s.Complete(t.Context(), over)
		open := begun(t, s, newFlow("alice")).returned()
		open.Probe = over.Probe
		_, _, _ = s.Complete(t.Context(), open)
		open.Owner = owner("bob")
		_, _, _ = s.Complete(t.Context(), open)
	})
}

// TestAnyBrowserReplacesNothing protects somebody who is connected from a
// letter that another has read: whose account it is, nobody can tell. And it
// ends only where that is allowed.
func TestAnyBrowserReplacesNothing(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		letter := func(account, secret string) *Flow {
			return stagedFlow(t, s, &Flow{Owner: owner("alice"), Kind: FlowConnect, AnyBrowser: true}, account, secret)
		}
		j := letter("1", "key-1")
		not := j.returned()
		not.AnyBrowser = false
		_, _, err := s.Complete(t.Context(), not)
		want(t, "where it is not allowed", err, ErrForeignFlow)
		_, _, err = s.Complete(t.Context(), j.returned())
		want(t, "where it is", err, nil)

		j = letter("2", "mallory's")
		_, first, err := s.Complete(t.Context(), j.returned())
		want(t, "another account", err, ErrOtherAccount)
		if !first {
			t.Error("it has not ended")
		}
		holds(t, s, "alice", "1", "key-1")
		if got := states(t, s); got != "1 active, 0 suspended, 0 conflict, 0 retired" {
			t.Error(got)
		}
		_, first, err = s.Complete(t.Context(), j.returned())
		if want(t, "another account, looked at again", err, ErrOtherAccount); first {
			t.Error("it has ended twice")
		}
		_, _, err = s.Complete(t.Context(), letter("1", "key-3").returned())
		want(t, "the same account", err, nil)
		holds(t, s, "alice", "1", "key-3")
		_, _, err = s.Complete(t.Context(), j.returned())
		want(t, "another account, now that one has been connected since", err, nil)
	})
}

// TestSourceKeepsAccount protects somebody who is connected with a data source on a
// device that others use: the browser may be signed in at the vendor as one of these.
// Another account waits for their decision.
func TestSourceKeepsAccount(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		alice := owner("alice")
		alice.Source = "lab"
		comes := func(what, account string, wantErr error, holds string) {
			t.Helper()
			f := begun(t, s, &Flow{Owner: alice, Kind: FlowConnect})
			want(t, "told", s.Stage(t.Context(), alice.Provider, alice.Source, f.CorrelationID.Reveal(), pendingResult(account, "key-"+account)), nil)
			_, _, err := s.Complete(t.Context(), f.returned())
			want(t, what, err, wantErr)
			if g, err := s.Find(t.Context(), alice); err != nil || g.Account != holds || g.Secret.Reveal() != "key-"+holds {
				t.Errorf("%s: %+v, %v", what, g, err)
			}
		}
		comes("the first account", "1", nil, "1")
		comes("the same account", "1", nil, "1")
		comes("another account", "2", ErrConfirm, "1")
		g, err := s.Find(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		if done, err := s.Suspend(t.Context(), g, "refused"); !done || err != nil {
			t.Fatalf("%t %v", done, err)
		}
		comes("another account than the suspended one", "2", ErrConfirm, "1")
		if got := states(t, s); got != "0 active, 1 suspended, 0 conflict, 0 retired" {
			t.Error(got)
		}
		want(t, "leaving", s.DeleteByOwner(t.Context(), alice), nil)
		comes("another account after leaving", "2", nil, "2")
	})
}

// TestAlteredFlow protects a member from somebody who can write to the
// database, and is a user of the app: what they make their own does not open.
func TestAlteredFlow(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		known := begun(t, s, newFlow("mallory"))
		attack := stagedFlow(t, s, &Flow{Owner: owner("mallory"), Kind: FlowConnect, BrowserToken: known.BrowserToken}, "victim", "key")
		name := s.tokenPseudonym("back", known.StateToken.Reveal())
		alter(t, s, "DELETE FROM journeys WHERE back = '"+name+"'")
		alter(t, s, "UPDATE journeys SET back = '"+name+"'")
		a := attack.returned()
		a.StateToken = known.StateToken.Reveal()
		_, _, err := s.Complete(t.Context(), a)
		want(t, "an address of theirs", err, ErrDamaged)

		j := stagedFlow(t, s, newFlow("dave"), "d", "key")
		alter(t, s, "UPDATE journeys SET browser = ''")
		a = j.returned()
		a.BrowserToken, a.AnyBrowser = "", true
		_, _, err = s.Complete(t.Context(), a)
		want(t, "any browser", err, ErrDamaged)
	})
}

// TestPendingFlows protects the database from keys that nobody comes for: a week
// after it could be consented to, a consent flow is over, and is deleted.
func TestPendingFlows(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		j := stagedFlow(t, s, newFlow("dave"), "d", "key")
		expire := func(ago time.Duration) {
			t.Helper()
			alter(t, s, fmt.Sprintf("UPDATE journeys SET expires = %d", millis(time.Now().Add(-ago))))
		}
		expire(returnGraceAnyBrowser - time.Minute)
		err := s.Pending(t.Context(), owner("dave"))
		want(t, "within the hour", err, nil)
		expire(returnGrace - time.Minute)
		err = s.Pending(t.Context(), owner("dave"))
		want(t, "nobody is kept from beginning anew", err, ErrNotFound)
		want(t, "sweeping", s.sweepFlows(t.Context()), nil) // which deletes what is over
		_, _, err = s.Complete(t.Context(), j.returned())
		want(t, "within the week", err, nil)

		j = stagedFlow(t, s, newFlow("dave"), "d", "key-2")
		expire(returnGrace + time.Minute)
		err = s.Pending(t.Context(), owner("dave"))
		want(t, "after it", err, ErrNotFound)
		_, _, err = s.Complete(t.Context(), j.returned())
		want(t, "after it", err, ErrNotFound)
		begun(t, s, newFlow("erin"))
		want(t, "sweeping", s.sweepFlows(t.Context()), nil)
		var left int
		if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM journeys").Scan(&left); err != nil || left != 1 {
			t.Errorf("%d journeys are left, %v", left, err)
		}
	})
}

// TestLetterOutlastsStarts protects a letter, which is good for a day, from a
// page that is opened again and again meanwhile.
func TestLetterOutlastsStarts(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		letter := begun(t, s, &Flow{Owner: owner("carol"), Kind: FlowConnect, AnyBrowser: true, Lifetime: 24 * time.Hour})
		for range 2 * maxOpenFlows {
			alter(t, s, "UPDATE journeys SET created = created - 1000") // those before are older
			begun(t, s, newFlow("carol"))
		}
		want(t, "the letter", s.Stage(t.Context(), "mydex", "", letter.CorrelationID.Reveal(), pendingResult("c", "key")), nil)
	})
}
