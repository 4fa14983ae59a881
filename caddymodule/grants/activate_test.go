// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// told begins a journey for somebody, and has the platform tell of it.
func told(t *testing.T, s *Store, j *Journey, account, secret string) *Journey {
	t.Helper()
	begun(t, s, j)
	want(t, "told", s.Stage(t.Context(), "mydex", "", j.Link.Reveal(), set(account, secret)), nil)
	return j
}

func setOut(who string) *Journey { return &Journey{Owner: owner(who), Kind: Connect} }

// back is the browser that set out, coming back.
func (j *Journey) back() Arrival {
	return Arrival{Owner: j.Owner, Back: j.Back.Reveal(), Browser: j.Browser.Reveal(), AnyBrowser: j.AnyBrowser}
}

func refused(context.Context, *Grant, bool) Verdict { return Refused }

// states counts the grants by their state.
func states(t *testing.T, s *Store) string {
	t.Helper()
	n := make(map[State]int)
	for _, g := range all(t, s) {
		n[g.State]++
	}
	return fmt.Sprintf("%d active, %d suspended, %d conflict, %d retired", n[Active], n[Suspended], n[Conflict], n[Retired])
}

// TestOlderEndsLater protects a good key from a tab that was left open: what
// somebody has consented to last counts, whichever browser is back last. The
// platform may not accept the older key any more.
func TestOlderEndsLater(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		for _, account := range []string{"1", "2"} {
			older := told(t, s, setOut("alice"), "1", "old")
			newer := told(t, s, setOut("alice"), account, "new")
			_, first, err := s.Activate(t.Context(), newer.back())
			if err != nil || !first {
				t.Errorf("the newer: %t %v", first, err)
			}
			g, first, err := s.Activate(t.Context(), older.back())
			if err != nil || first || g.Account != account {
				t.Errorf("the older: %+v %t %v", g, first, err)
			}
			holds(t, s, "alice", account, "new")
		}
	})
}

// TestRefused protects a good key from one that the platform does not accept:
// that is kept aside. Who has nothing better has it put aside as their own, so
// that it can be tried again.
func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		try := func(j *Journey) (first bool, err error) {
			a := j.back()
			a.Try = refused
			_, first, err = s.Activate(t.Context(), a)
			return first, err
		}
		j := told(t, s, setOut("bob"), "9", "key-9")
		first, err := try(j)
		want(t, "nothing better", err, ErrRefused)
		if g, err := s.Find(t.Context(), owner("bob")); !first || err != nil || g.State != Suspended || g.Secret.Reveal() != "key-9" {
			t.Errorf("%t %+v %v", first, g, err)
		}
		if first, err := try(j); first || err != nil {
			t.Errorf("again: %t %v", first, err)
		}

		connected(t, s, "alice", "1", "good")
		for what, j := range map[string]*Journey{
			"the same account": told(t, s, setOut("alice"), "1", "bad"),
			"another account":  told(t, s, setOut("alice"), "2", "bad"),
			"an update":        told(t, s, &Journey{Owner: owner("alice"), Kind: Update}, "1", "bad"),
		} {
			first, err := try(j)
			want(t, what, err, ErrRefused)
			if !first {
				t.Errorf("%s: it has not ended", what)
			}
			holds(t, s, "alice", "1", "good")
		}
		if got := states(t, s); got != "1 active, 1 suspended, 0 conflict, 3 retired" {
			t.Error(got)
		}
		// Nobody is asked of what is over, of another's, or of what is not told.
		over := j.back()
		over.Try = func(context.Context, *Grant, bool) Verdict { t.Error("tried"); return Accepted }
		_, _, _ = s.Activate(t.Context(), over)
		open := begun(t, s, setOut("alice")).back()
		open.Try = over.Try
		_, _, _ = s.Activate(t.Context(), open)
		open.Owner = owner("bob")
		_, _, _ = s.Activate(t.Context(), open)
	})
}

// TestAnyBrowserReplacesNothing protects somebody who is connected from a
// letter that another has read: whose account it is, nobody can tell. And it
// ends only where that is allowed.
func TestAnyBrowserReplacesNothing(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		letter := func(account, secret string) *Journey {
			return told(t, s, &Journey{Owner: owner("alice"), Kind: Connect, AnyBrowser: true}, account, secret)
		}
		j := letter("1", "key-1")
		not := j.back()
		not.AnyBrowser = false
		_, _, err := s.Activate(t.Context(), not)
		want(t, "where it is not allowed", err, ErrOther)
		_, _, err = s.Activate(t.Context(), j.back())
		want(t, "where it is", err, nil)

		j = letter("2", "mallory's")
		_, first, err := s.Activate(t.Context(), j.back())
		want(t, "another account", err, ErrConnected)
		if !first {
			t.Error("it has not ended")
		}
		holds(t, s, "alice", "1", "key-1")
		if got := states(t, s); got != "1 active, 0 suspended, 0 conflict, 0 retired" {
			t.Error(got)
		}
		_, _, err = s.Activate(t.Context(), letter("1", "key-3").back())
		want(t, "the same account", err, nil)
		holds(t, s, "alice", "1", "key-3")
	})
}

// TestAlteredJourney protects a member from somebody who can write to the
// database, and is a user of the app: what they make their own does not open.
func TestAlteredJourney(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		known := begun(t, s, setOut("mallory"))
		attack := told(t, s, &Journey{Owner: owner("mallory"), Kind: Connect, Browser: known.Browser}, "victim", "key")
		name := s.token("back", known.Back.Reveal())
		alter(t, s, "DELETE FROM journeys WHERE back = '"+name+"'")
		alter(t, s, "UPDATE journeys SET back = '"+name+"'")
		a := attack.back()
		a.Back = known.Back.Reveal()
		_, _, err := s.Activate(t.Context(), a)
		want(t, "an address of theirs", err, ErrDamaged)

		j := told(t, s, setOut("dave"), "d", "key")
		alter(t, s, "UPDATE journeys SET browser = ''")
		a = j.back()
		a.Browser, a.AnyBrowser = "", true
		_, _, err = s.Activate(t.Context(), a)
		want(t, "any browser", err, ErrDamaged)
	})
}

// TestWhatWaits protects the database from keys that nobody comes for: a week
// after it could be consented to, a journey is over, and is deleted.
func TestWhatWaits(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		j := told(t, s, setOut("dave"), "d", "key")
		expire := func(ago time.Duration) {
			t.Helper()
			alter(t, s, fmt.Sprintf("UPDATE journeys SET expires = %d", millis(time.Now().Add(-ago))))
		}
		expire(keptAny - time.Minute)
		err := s.Pending(t.Context(), owner("dave"))
		want(t, "within the hour", err, nil)
		expire(kept - time.Minute)
		err = s.Pending(t.Context(), owner("dave"))
		want(t, "nobody is kept from beginning anew", err, ErrNone)
		begun(t, s, setOut("erin")) // which deletes what is over
		_, _, err = s.Activate(t.Context(), j.back())
		want(t, "within the week", err, nil)

		j = told(t, s, setOut("dave"), "d", "key-2")
		expire(kept + time.Minute)
		err = s.Pending(t.Context(), owner("dave"))
		want(t, "after it", err, ErrNone)
		_, _, err = s.Activate(t.Context(), j.back())
		want(t, "after it", err, ErrNone)
		begun(t, s, setOut("erin"))
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
		letter := begun(t, s, &Journey{Owner: owner("carol"), Kind: Connect, AnyBrowser: true, Life: 24 * time.Hour})
		for range 2 * maxOpen {
			alter(t, s, "UPDATE journeys SET created = created - 1000") // those before are older
			begun(t, s, setOut("carol"))
		}
		want(t, "the letter", s.Stage(t.Context(), "mydex", "", letter.Link.Reveal(), set("c", "key")), nil)
	})
}
