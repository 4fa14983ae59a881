// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"slices"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestWaitingSpared protects a consent that waits for its owner, who has to sign in or to
// decide, from the revocation of one before it of the same account: the vendor would end
// both. Control: one that nobody fetches is told.
func TestWaitingSpared(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newSourceDesk(t, at)
		comesBack := func(name string) {
			t.Helper()
			vendor.answers(errAway)
			if _, err := d.comes(name, "2"); err != nil {
				t.Fatal(err)
			}
			if untold, err := d.leaves(name); untold == nil || err != nil || queued(t, d.store) != "2" {
				t.Fatal(untold, err)
			}
			vendor.answers(nil)
		}

		comesBack("alice")
		if _, err := d.comes("alice", "1"); err != nil {
			t.Fatal(err)
		}
		started, err := d.comes("alice", "2")
		d.housekeeps()
		if !errors.Is(err, delegation.ErrConfirm) || vendor.toldWith() != "" {
			t.Errorf("decides: %v, told with %q", err, vendor.toldWith())
		}
		want(t, "deciding", d.decides("alice", started, true), nil)
		if got := vendor.toldWith(); got != "access-of-1" || d.account("alice") != "2" {
			t.Errorf("told with %q, acts as %q", got, d.account("alice"))
		}
		if _, err := d.leaves("alice"); err != nil {
			t.Fatal(err)
		}

		comesBack("bob")
		started = d.begun("bob")
		_, err = d.HandleReturn(t.Context(), ReturnRequest{State: started.State.Reveal(), BrowserToken: started.BrowserToken.Reveal(), Query: withCode("2-b")})
		d.housekeeps()
		if !errors.Is(err, delegation.ErrPending) || vendor.toldWith() != "" {
			t.Errorf("signs in: %v, told with %q", err, vendor.toldWith())
		}
		if first, err := d.returns("bob", started, nil); !first || err != nil || d.account("bob") != "2" {
			t.Errorf("bob signs in: %t, %v", first, err)
		}
		if _, err := d.leaves("bob"); err != nil {
			t.Fatal(err)
		}

		comesBack("carol")
		started = d.begun("carol")
		if _, err := d.HandleReturn(t.Context(), ReturnRequest{State: started.State.Reveal(), BrowserToken: started.BrowserToken.Reveal(), Query: withCode("2-c")}); !errors.Is(err, delegation.ErrPending) {
			t.Fatal(err)
		}
		alter(t, d.store, "UPDATE journeys SET expires = 1 WHERE state = 'staged'")
		want(t, "housekeeping", d.dropOverdue(t.Context(), d.store), nil)
		d.housekeeps()
		if got := vendor.toldWith(); got != "access-of-2" {
			t.Errorf("nobody has fetched it, told with %q", got)
		}
	})
}

// TestWaitingTwice protects who has come back twice with the same other account, and
// decides for it, from the end of the first one's hour: the vendor would end both.
func TestWaitingTwice(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newSourceDesk(t, at)
		if _, err := d.comes("alice", "1"); err != nil {
			t.Fatal(err)
		}
		if _, err := d.comes("alice", "2"); !errors.Is(err, delegation.ErrConfirm) {
			t.Fatal(err)
		}
		alter(t, d.store, "UPDATE journeys SET claim_until = 1 WHERE state = 'confirm'")
		started, err := d.comes("alice", "2")
		d.housekeeps()
		d.housekeeps()
		if !errors.Is(err, delegation.ErrConfirm) || vendor.toldWith() != "" || d.waits("alice", started) != "2" {
			t.Errorf("%v, told with %q, %q waits", err, vendor.toldWith(), d.waits("alice", started))
		}
		alter(t, d.store, "UPDATE journeys SET claim_until = 1 WHERE state = 'confirm'") // control
		d.housekeeps()
		d.housekeeps()
		if got := vendor.toldWith(); got != "access-of-2" || d.account("alice") != "1" {
			t.Errorf("not decided on: told with %q, acts as %q", got, d.account("alice"))
		}
	})
}

// TestWaitingDecidedByOperator protects people from staying known to a vendor by an account
// that waited for them when an operator decided about the one that was connected.
func TestWaitingDecidedByOperator(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		for name, c := range map[string]struct {
			decide func(s *Store, id string) error
			told   string
		}{
			"deletes":  {func(s *Store, id string) error { return s.Delete(t.Context(), id, "root") }, "access-of-1 access-of-2"},
			"releases": {func(s *Store, id string) error { return s.Release(t.Context(), id, "root") }, "access-of-2"},
		} {
			d, vendor := newSourceDesk(t, at)
			if _, err := d.comes("alice", "1"); err != nil {
				t.Fatal(err)
			}
			if _, err := d.comes("alice", "2"); !errors.Is(err, delegation.ErrConfirm) {
				t.Fatal(err)
			}
			g, err := d.store.Find(t.Context(), d.owner(person("alice")))
			if err != nil {
				t.Fatal(err)
			}
			want(t, name, c.decide(d.store, g.ID), nil)
			d.housekeeps()
			slices.Sort(vendor.told)
			if got := vendor.toldWith(); got != c.told {
				t.Errorf("%s: told with %q", name, got)
			}
			if _, err := d.leaves("alice"); err != nil {
				t.Error(err)
			}
		}
	})
}
