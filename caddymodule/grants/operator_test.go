// SPDX-License-Identifier: Apache-2.0

package grants

import "testing"

// TestMove protects a person whose name at the app has changed, and who they
// are moved to: it becomes their only one.
func TestMove(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		g := connected(t, s, "alice", "1", "key-a")
		connected(t, s, "alice2", "2", "key-b")
		if err := s.Move(t.Context(), g.ID, owner("alice2"), "root"); err != nil {
			t.Fatal(err)
		}
		holds(t, s, "alice", "", "")
		holds(t, s, "alice2", "1", "key-a")
		other := owner("alice2")
		other.Provider = "another"
		want(t, "another provider", s.Move(t.Context(), g.ID, other, "root"), ErrNotFound)
		if err := s.Delete(t.Context(), g.ID, "root"); err != nil {
			t.Fatal(err)
		}
		holds(t, s, "alice2", "", "")
	})
}

// TestDelete protects who wants to be gone: neither the grant is left nor what
// its consent flow brought, somebody else's stays, and a row that does not open any
// more does not have to.
func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		alice, bob := connected(t, s, "alice", "1", "key-a"), connected(t, s, "bob", "2", "key-b")
		pending := &Flow{Owner: owner("alice"), Kind: FlowConnect}
		if err := s.Begin(t.Context(), pending); err != nil {
			t.Fatal(err)
		}
		if g, err := s.FindByID(t.Context(), alice.ID); err != nil || g.Owner != owner("alice") || g.Secret.Reveal() != "" {
			t.Errorf("%+v, %v", g, err)
		}
		if err := s.Delete(t.Context(), alice.ID, "root"); err != nil {
			t.Fatal(err)
		}
		holds(t, s, "alice", "", "")
		_, err := s.FindByID(t.Context(), alice.ID)
		want(t, "it", err, ErrNotFound)
		want(t, "again", s.Delete(t.Context(), alice.ID, "root"), ErrNotFound)
		left := func(done, open int) {
			t.Helper()
			for state, want := range map[string]int{"done": done, "open": open} {
				var n int
				text := "SELECT count(*) FROM journeys WHERE state = '" + state + "'"
				if err := s.db.QueryRowContext(t.Context(), text).Scan(&n); err != nil || n != want {
					t.Errorf("%d journeys are %s, %v; want %d", n, state, err, want)
				}
			}
		}
		left(1, 1)

		alter(t, s, "UPDATE grants SET owner = secret")
		_, err = s.FindByID(t.Context(), bob.ID)
		want(t, "a damaged one", err, ErrDamaged)
		if err := s.Delete(t.Context(), bob.ID, "root"); err != nil {
			t.Error(err)
		}
		left(0, 1)
		if list := all(t, s); len(list) != 0 {
			t.Errorf("%+v", list)
		}
	})
}

// TestDecisionsEndFlows protects what an operator has decided from a browser
// that comes back later, of who had the grant and of who has it now.
func TestDecisionsEndFlows(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		g := connected(t, s, "alice", "1", "key-1")
		hers, his := stagedFlow(t, s, newFlow("alice"), "1", "key-2"), stagedFlow(t, s, newFlow("bob"), "2", "key-3")
		want(t, "moved", s.Move(t.Context(), g.ID, owner("bob"), "root"), nil)
		for _, j := range []*Flow{hers, his} {
			_, _, err := s.Complete(t.Context(), j.returned())
			want(t, j.Subject, err, ErrNotFound)
		}
		holds(t, s, "bob", "1", "key-1")
		holds(t, s, "alice", "", "")
	})
}

// TestConflictEnds protects the second user of an account from being in
// conflict with nobody: the holder is gone, or the grant was moved to them.
func TestConflictEnds(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		g := connected(t, s, "alice", "1", "key-1")
		j := stagedFlow(t, s, newFlow("bob"), "1", "key-2")
		for range 2 { // the page is loaded again
			_, _, err := s.Complete(t.Context(), j.returned())
			want(t, "bob comes back", err, ErrConflict)
		}
		want(t, "moved", s.Move(t.Context(), g.ID, owner("bob"), "root"), nil)
		want(t, "released", s.Release(t.Context(), g.ID, "root"), nil)
		_, err := s.Find(t.Context(), owner("bob"))
		want(t, "bob, after it was his", err, ErrNotFound)

		connected(t, s, "carol", "3", "key-3")
		_, err = connect(s, "dave", "3", "key-4")
		want(t, "dave", err, ErrConflict)
		want(t, "carol leaves", s.DeleteByOwner(t.Context(), owner("carol")), nil)
		_, err = s.Find(t.Context(), owner("dave"))
		want(t, "dave, with the account free", err, ErrNotFound)
	})
}
