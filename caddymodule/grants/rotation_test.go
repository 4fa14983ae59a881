// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// copyOf is a keyset of its own with the same keys.
func copyOf(t *testing.T, k *keyset.Keyset) *keyset.Keyset {
	t.Helper()
	text, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c, err := keyset.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRotation protects members' keys while the keyset is rotated, one machine
// after the other: everybody is found at every step, nobody is bound twice,
// and after sealing anew the old key can be dropped.
func TestRotation(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		k := at.Keyset.(*keyset.Keyset)
		connected(t, opened(t, at), "alice", "1", "key-1")
		pending := &Flow{Owner: owner("bob"), Kind: FlowConnect}
		if err := opened(t, at).Begin(t.Context(), pending); err != nil {
			t.Fatal(err)
		}
		for step, change := range []func(*keyset.Keyset) error{(*keyset.Keyset).Stage, (*keyset.Keyset).Promote} {
			old, young := copyOf(t, k), copyOf(t, k)
			if err := change(young); err != nil {
				t.Fatal(err)
			}
			before, after := at, at
			before.Keyset, after.Keyset = old, young
			a, b := opened(t, before), opened(t, after)
			for _, s := range []*Store{a, b} {
				holds(t, s, "alice", "1", "key-1")
				_, err := connect(s, fmt.Sprint("mallory", step), "1", "key-2")
				want(t, "an account that is held", err, ErrConflict)
			}
			who := fmt.Sprint("carol", step)
			connected(t, a, who, who, "key-a")
			connected(t, b, who, who, "key-b")
			holds(t, a, who, who, "key-b")
			connected(t, a, who, who, "key-c")
			holds(t, b, who, who, "key-c")
			k = young
		}
		at.Keyset = k
		s := opened(t, at)
		if n, err := s.CountOutdated(t.Context()); err != nil || n == 0 {
			t.Fatalf("%d are of an older key, %v", n, err)
		}
		if _, err := s.Reseal(t.Context(), "root"); err != nil {
			t.Fatal(err)
		}
		if n, err := s.CountOutdated(t.Context()); err != nil || n != 0 {
			t.Errorf("%d are left, %v", n, err)
		}
		if err := s.Stage(t.Context(), "mydex", "", pending.CorrelationID.Reveal(), pendingResult("2", "key-2")); err != nil {
			t.Errorf("what was under way: %v", err)
		}
		if _, _, err := s.Complete(t.Context(), Return{Owner: owner("bob"), StateToken: pending.StateToken.Reveal(), BrowserToken: pending.BrowserToken.Reveal(), AnyBrowser: true}); err != nil {
			t.Error(err)
		}
		// Four steps later the first key is gone.
		for _, change := range []func() error{k.Stage, k.Promote, k.Stage} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
		}
		late := opened(t, at)
		holds(t, late, "alice", "1", "key-1")
		holds(t, late, "carol0", "carol0", "key-c")
	})
}

// TestOtherKeyset protects from asking everybody to consent anew because the
// keyset was lost or mixed up: the store does not open, and is not changed.
func TestOtherKeyset(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		connected(t, s, "alice", "1", "key-1")
		other := at
		other.Keyset = newKeyset(t)
		if _, err := Open(t.Context(), other); !errors.Is(err, ErrDamaged) {
			t.Errorf("with another keyset: %v", err)
		}
		holds(t, s, "alice", "1", "key-1")
		holds(t, opened(t, at), "alice", "1", "key-1")

		// A key that was dropped too early is another keyset.
		k := at.Keyset.(*keyset.Keyset)
		for _, change := range []func() error{k.Stage, k.Promote, k.Stage, k.Promote, k.Stage} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(context.Background(), at); !errors.Is(err, ErrDamaged) {
			t.Errorf("without the key: %v", err)
		}
	})
}

// TestStagedDuringRotation protects what the platform tells a machine that has
// the older keys of a consent flow that was begun with the newer, and while rows are
// sealed anew: nothing that was acknowledged is lost.
func TestStagedDuringRotation(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		k := at.Keyset.(*keyset.Keyset)
		if err := k.Stage(); err != nil {
			t.Fatal(err)
		}
		old, young := copyOf(t, k), copyOf(t, k)
		if err := young.Promote(); err != nil {
			t.Fatal(err)
		}
		before, after := at, at
		before.Keyset, after.Keyset = old, young
		a, b := opened(t, before), opened(t, after)
		journeys := make([]*Flow, 60)
		for i := range journeys {
			s := []*Store{a, b}[i%2]
			journeys[i] = begun(t, s, &Flow{Owner: owner(fmt.Sprint("user", i)), Kind: FlowConnect})
		}
		over := make(chan error)
		go func() {
			var err error
			for range 5 {
				_, e := b.Reseal(context.Background(), "root")
				err = errors.Join(err, e)
			}
			over <- err
		}()
		crowd(len(journeys), func(i int) {
			s := []*Store{b, a}[i%2]
			if err := s.Stage(context.Background(), "mydex", "", journeys[i].CorrelationID.Reveal(), pendingResult(fmt.Sprint("m", i), "key")); err != nil {
				t.Errorf("told: %v", err)
			}
		})
		if err := <-over; err != nil {
			t.Fatal(err)
		}
		if _, err := b.Reseal(t.Context(), "root"); err != nil {
			t.Fatal(err)
		}
		if n, err := b.CountOutdated(t.Context()); err != nil || n != 0 {
			t.Fatalf("%d are left of the older key, %v", n, err)
		}
		for i, j := range journeys {
			if _, _, err := b.Complete(t.Context(), Return{Owner: j.Owner, StateToken: j.StateToken.Reveal(), BrowserToken: j.BrowserToken.Reveal(), AnyBrowser: true}); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

// TestConflictThroughRotation protects the second user of an account from being
// told to connect again while names are of different keys.
func TestConflictThroughRotation(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		old := at.Keyset.(*keyset.Keyset)
		s := opened(t, at)
		connected(t, s, "bob", "1", "bob's")
		_, err := connect(s, "alice", "1", "alice's")
		want(t, "alice", err, ErrConflict)
		at.Keyset = rotated(t, old)
		s = opened(t, at)
		connected(t, s, "bob", "1", "bob's second") // by the new key
		_, err = s.Find(t.Context(), owner("alice"))
		want(t, "alice, when bob has consented again", err, ErrConflict)
		if _, err := s.Reseal(t.Context(), "root"); err != nil {
			t.Fatal(err)
		}
		_, err = s.Find(t.Context(), owner("alice"))
		want(t, "alice, sealed anew", err, ErrConflict)
	})
}

// TestResealPastDamage protects everybody's grants from one consent flow that does
// not open: nobody can end it, and it does not keep the old key in use.
func TestResealPastDamage(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		begun(t, s, newFlow("alice"))
		alter(t, s, "UPDATE journeys SET browser = 'x'")
		connected(t, s, "bob", "1", "key")
		at.Keyset = rotated(t, at.Keyset.(*keyset.Keyset))
		s = opened(t, at)
		if _, err := s.Reseal(t.Context(), "root"); err != nil {
			t.Fatal(err)
		}
		if n, err := s.CountOutdated(t.Context()); n != 0 || err != nil {
			t.Errorf("%d are of the old key, %v", n, err)
		}
		holds(t, s, "bob", "1", "key")
	})
}

// rotated is a keyset one rotation further.
func rotated(t *testing.T, old *keyset.Keyset) *keyset.Keyset {
	t.Helper()
	young := copyOf(t, old)
	for _, step := range []func() error{young.Stage, young.Promote} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return young
}
