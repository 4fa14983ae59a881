// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

func pairwiseID(t *testing.T, s *Store, o Owner) string {
	t.Helper()
	id, err := s.PairwiseID(t.Context(), o)
	if err != nil || len(id) != 26 {
		t.Fatalf("%q, %v", id, err)
	}
	return id
}

// TestPairwiseID protects a person from being two at the platform: machines that
// make the identifier at once have one, and it outlasts a rotation of keys and the
// provider's new name.
func TestPairwiseID(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		stores := []*Store{opened(t, at), opened(t, at)}
		found := make([]string, 40)
		crowd(len(found), func(i int) { found[i], _ = stores[i%2].PairwiseID(t.Context(), owner("alice")) })
		s, alice := stores[0], pairwiseID(t, stores[0], owner("alice"))
		for i, id := range found {
			if id != alice {
				t.Errorf("%d has %q, and %q was stored", i, id, alice)
			}
		}
		other := owner("alice")
		other.Realm = "another app"
		if pairwiseID(t, s, other) == alice || pairwiseID(t, s, owner("bob")) == alice {
			t.Error("two people have one identifier")
		}

		k := copyOf(t, at.Keyset.(*keyset.Keyset))
		for _, change := range []func() error{k.Stage, k.Promote} {
			want(t, "rotating", change(), nil)
		}
		at.Keyset = k
		s = opened(t, at)
		if got := pairwiseID(t, s, owner("alice")); got != alice {
			t.Errorf("after the rotation it is %q", got)
		}
		if n, err := s.CountOutdated(t.Context()); n != 3 || err != nil {
			t.Errorf("%d are sealed by an older key, %v", n, err)
		}
		if n, err := s.Reseal(t.Context(), "root"); n != 3 || err != nil {
			t.Errorf("%d were sealed anew, %v", n, err)
		}
		if n, err := s.CountOutdated(t.Context()); n != 0 || err != nil {
			t.Errorf("%d are left, %v", n, err)
		}
		pairwiseID(t, s, ownerOf("renamed", "alice")) // gives way
		if n, err := s.Rename(t.Context(), "mydex", "renamed", "root"); n != 3 || err != nil {
			t.Errorf("%d were renamed, %v", n, err)
		}
		if got := pairwiseID(t, s, ownerOf("renamed", "alice")); got != alice {
			t.Errorf("under the new name it is %q", got)
		}
	})
}

// TestPairwiseIDDeleted protects who has had their data deleted: nothing by which
// the platform knows them is left, neither by their own doing nor an operator's.
func TestPairwiseIDDeleted(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		bob := pairwiseID(t, s, owner("bob"))
		for what, end := range map[string]func(g *Grant) error{
			"forgotten": func(g *Grant) error { return s.DeleteByOwner(t.Context(), g.Owner) },
			"deleted":   func(g *Grant) error { return s.Delete(t.Context(), g.ID, "root") },
		} {
			before := pairwiseID(t, s, owner(what))
			former := connected(t, s, what, "former "+what, "key")
			g := connected(t, s, what, what, "key")
			want(t, "one of two grants", s.Delete(t.Context(), former.ID, "root"), nil)
			if got := pairwiseID(t, s, owner(what)); got != before {
				t.Errorf("%s: it went with one of two grants", what)
			}
			want(t, what, end(g), nil)
			var left int
			if err := s.db.QueryRowContext(t.Context(), "SELECT count(*) FROM people").Scan(&left); err != nil || left != 1 {
				t.Errorf("%s: %d are left, %v", what, left, err)
			}
		}
		if got := pairwiseID(t, s, owner("bob")); got != bob {
			t.Error("another person's is gone")
		}
	})
}

// TestPairwiseIDExchanged protects people from whoever can write to the database:
// an identifier does not open as another person's.
func TestPairwiseIDExchanged(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		pairwiseID(t, s, owner("alice"))
		alter(t, s, fmt.Sprintf("UPDATE people SET person = '%s'", s.ownerPseudonym(owner("mallory"))))
		_, err := s.PairwiseID(t.Context(), owner("mallory"))
		want(t, "another's identifier", err, ErrDamaged)
	})
}

// TestPairwiseIDDamaged protects everybody else from one identifier that does not
// open: keys can be rotated and a provider renamed, and its person gets another.
func TestPairwiseIDDamaged(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		alice, bob := pairwiseID(t, s, owner("alice")), pairwiseID(t, s, owner("bob"))
		damage := func(person string) {
			alter(t, s, fmt.Sprintf("UPDATE people SET owner = sealed FROM (SELECT owner AS sealed FROM people WHERE person <> '%[1]s') AS other WHERE person = '%[1]s'", person))
		}
		damage(s.ownerPseudonym(owner("alice")))
		if n, err := s.Rename(t.Context(), "mydex", "renamed", "root"); n != 2 || err != nil {
			t.Fatalf("%d were renamed, %v", n, err)
		}
		if got := pairwiseID(t, s, ownerOf("renamed", "bob")); got != bob {
			t.Errorf("another person has %q now, not %q", got, bob)
		}
		if got := pairwiseID(t, s, ownerOf("renamed", "alice")); got == alice {
			t.Error("what does not open is used")
		}

		damage(s.ownerPseudonym(ownerOf("renamed", "alice")))
		k := copyOf(t, at.Keyset.(*keyset.Keyset))
		for _, change := range []func() error{k.Stage, k.Promote} {
			want(t, "rotating", change(), nil)
		}
		at.Keyset = k
		s = opened(t, at)
		if _, err := s.Reseal(t.Context(), "root"); err != nil {
			t.Errorf("sealing anew: %v", err)
		}
		if n, err := s.CountOutdated(t.Context()); n != 0 || err != nil {
			t.Errorf("%d are left, %v", n, err)
		}
	})
}
