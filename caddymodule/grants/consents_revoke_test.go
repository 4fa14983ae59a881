// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestRevocationOvertaken protects whoever connects again while the revocation of before
// has been leased already, and waits behind others that a slow vendor is told of first;
// or while the vendor is asked for the access token to tell with. Control: the one that
// nobody has connected again is told.
func TestRevocationOvertaken(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		lease := func(name string) *Revocation {
			t.Helper()
			vendor.answers(errAway)
			d.connects(name, "1")
			if untold, err := d.leaves(name); untold == nil || err != nil {
				t.Fatal(untold, err)
			}
			vendor.answers(nil)
			alter(t, d.store, "UPDATE revocations SET due = 1, lease_until = 0")
			leased, err := d.store.leaseRevocations(t.Context(), "mydex", "", housekeepingBatch, housekeepingTerm)
			if err != nil || len(leased) != 1 {
				t.Fatalf("%d leased, %v", len(leased), err)
			}
			return leased[0]
		}
		r := lease("control")
		if err := d.revoke(t.Context(), d.store, r); err != nil || vendor.toldWith() != "access-of-1" {
			t.Errorf("%v, told with %q", err, vendor.toldWith())
		}

		r = lease("alice")
		d.connects("alice", "1")
		if err := d.revoke(t.Context(), d.store, r); err != nil || vendor.toldWith() != "" || d.account("alice") != "1" {
			t.Errorf("connected again: %v, told with %q", err, vendor.toldWith())
		}
		if _, err := d.leaves("alice"); err != nil {
			t.Fatal(err)
		}

		r = lease("bob")
		r.Grant.Tokens.AccessExpires = time.Now().Add(-time.Hour)
		d.o.Refresher = refresherFunc(func() { d.connects("bob", "1") })
		if err := d.revoke(t.Context(), d.store, r); err != nil || vendor.toldWith() != "" || d.account("bob") != "1" {
			t.Errorf("connected during the refresh: %v, told with %q", err, vendor.toldWith())
		}
		if _, err := d.leaves("bob"); err != nil {
			t.Fatal(err)
		}
		d.o.Refresher = vendor

		// Another machine has leased it, because this one has taken too long.
		r = lease("carol")
		alter(t, d.store, "UPDATE revocations SET lease_until = 0")
		if again, err := d.store.leaseRevocations(t.Context(), "mydex", "", housekeepingBatch, housekeepingTerm); err != nil || len(again) != 1 {
			t.Fatalf("%d leased, %v", len(again), err)
		}
		if err := d.revoke(t.Context(), d.store, r); err != nil || vendor.toldWith() != "" || queued(t, d.store) != "1" {
			t.Errorf("leased by another: %v, told with %q, queued %q", err, vendor.toldWith(), queued(t, d.store))
		}
	})
}

// refresherFunc is a vendor that refuses every refresh after it has called a function.
type refresherFunc func()

func (f refresherFunc) RefreshGrant(context.Context, *delegation.Grant, bool) (*delegation.GrantTokens, error) {
	f()
	return nil, delegation.Refuse(delegation.DelegationRefused, nil)
}

// TestRevocationDuringReload protects a vendor from being told by a machine that is
// stopped, or gets another configuration, with half a word: what it has begun it finishes.
func TestRevocationDuringReload(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		vendor.answers(errAway)
		d.connects("alice", "1")
		if untold, err := d.leaves("alice"); untold == nil || err != nil {
			t.Fatal(untold, err)
		}
		alter(t, d.store, "UPDATE revocations SET due = 1, lease_until = 0")
		ctx, stop := context.WithCancel(t.Context())
		told := revokerFunc(func(call context.Context) error { stop(); return call.Err() })
		d.o.Revoker = told
		if err := d.revokeDue(ctx, d.store); err != nil || queued(t, d.store) != "" {
			t.Errorf("%v, queued %q", err, queued(t, d.store))
		}
	})
}

// revokerFunc is a vendor that is told by a function.
type revokerFunc func(context.Context) error

func (f revokerFunc) RevokeGrant(ctx context.Context, _ *delegation.Grant) error { return f(ctx) }
