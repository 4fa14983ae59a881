// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"testing"
)

func suspend(t *testing.T, s *Store, who string) {
	t.Helper()
	g, err := s.Find(t.Context(), owner(who))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := s.Suspend(t.Context(), g); !done || err != nil {
		t.Fatalf("%t %v", done, err)
	}
}

func unknown(context.Context, *Grant, bool) Verdict { return Unknown }

// keys tells the state of every grant by its key.
func keys(t *testing.T, s *Store) map[string]State {
	t.Helper()
	states := make(map[string]State)
	for _, g := range all(t, s) {
		if err := s.read(t.Context(), "", func(ctx context.Context, db doer) error {
			full, err := s.byID(ctx, db, g.ID)
			if err == nil {
				states[full.Secret.Reveal()] = full.State
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return states
}

// TestSuspendedKeyIsKept protects a key that was suspended by mistake, from an
// older tab, from a letter that another has read, and from a key of another
// account that is worth nothing: it is the one that will be tried again.
func TestSuspendedKeyIsKept(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		older := told(t, s, setOut("alice"), "1", "older")
		connected(t, s, "alice", "1", "good")
		suspend(t, s, "alice")
		for what, c := range map[string]struct {
			j    *Journey
			try  func(context.Context, *Grant, bool) Verdict
			want error
		}{
			"an older tab":               {older, refused, ErrRefused},
			"a letter that another read": {told(t, s, &Journey{Owner: owner("alice"), Kind: Connect, AnyBrowser: true}, "666", "mallory's"), nil, ErrConnected},
			"another account, refused":   {told(t, s, setOut("alice"), "2", "bad"), refused, ErrRefused},
		} {
			a := c.j.back()
			a.Try = c.try
			_, _, err := s.Activate(t.Context(), a)
			want(t, what, err, c.want)
			holds(t, s, "alice", "1", "good")
		}
		// The same account, later: it is what will be tried, and nothing is lost.
		a := told(t, s, setOut("alice"), "1", "later").back()
		a.Try = refused
		_, _, err := s.Activate(t.Context(), a)
		want(t, "later", err, ErrRefused)
		if got := keys(t, s); got["good"] != Retired || got["later"] != Suspended || got["bad"] != Retired || got["mallory's"] != "" || got["older"] != Retired {
			t.Errorf("%v", got)
		}
		// And what works takes its place.
		connected(t, s, "alice", "1", "works")
		holds(t, s, "alice", "1", "works")
	})
}

// TestUnknownKeepsAside protects a good key from one that could not be tried:
// the new one counts, and the old one is not gone.
func TestUnknownKeepsAside(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "alice", "1", "good")
		a := told(t, s, setOut("alice"), "1", "untried").back()
		a.Try = unknown
		_, _, err := s.Activate(t.Context(), a)
		want(t, "untried", err, nil)
		holds(t, s, "alice", "1", "untried")
		if got := keys(t, s); got["good"] != Retired {
			t.Errorf("%v", got)
		}
	})
}

// TestConflictKeepsGoodKeys protects the key of who may turn out to be the
// account's owner from a later one that is worth nothing.
func TestConflictKeepsGoodKeys(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "bob", "1", "bob's")
		older := told(t, s, setOut("alice"), "1", "older")
		for _, account := range []string{"", "2"} { // alice has nothing else, and has
			if account != "" {
				connected(t, s, "alice", account, "alice's")
			}
			_, _, err := s.Activate(t.Context(), told(t, s, setOut("alice"), "1", "good").back())
			want(t, "good", err, ErrConflict)
			a := told(t, s, setOut("alice"), "1", "bad").back()
			a.Try = refused
			_, _, err = s.Activate(t.Context(), a)
			want(t, "bad", err, ErrRefused)
			if got := keys(t, s); got["good"] != Conflict || got["bad"] == "" {
				t.Errorf("%v", got)
			}
		}
		_, _, err := s.Activate(t.Context(), older.back())
		if got := keys(t, s); got["good"] != Conflict {
			t.Errorf("after an older tab (%v): %v", err, got)
		}
	})
}

// TestUpdateOfNothingEnds protects the platform from an update whose grant is
// gone, or is of another account: it is over the first time, and nothing is
// tried.
func TestUpdateOfNothingEnds(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		g := connected(t, s, "alice", "1", "key-1")
		update := &Journey{Owner: owner("alice"), Kind: Update}
		a := told(t, s, update, "2", "key-2").back()
		gone := told(t, s, &Journey{Owner: owner("alice"), Kind: Update}, "1", "key-3").back()
		try := func(context.Context, *Grant, bool) Verdict { t.Error("tried"); return Accepted }
		a.Try, gone.Try = try, try
		_, first, err := s.Activate(t.Context(), a)
		if want(t, "another account", err, ErrNone); !first {
			t.Error("it has not ended")
		}
		alter(t, s, "UPDATE grants SET state = 'retired' WHERE id = '"+g.ID+"'")
		_, first, err = s.Activate(t.Context(), gone)
		if want(t, "nothing to update", err, ErrNone); !first {
			t.Error("it has not ended")
		}
		err = s.Pending(t.Context(), owner("alice"))
		want(t, "nobody waits", err, ErrNone)
	})
}
