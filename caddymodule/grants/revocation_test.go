// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// errAway is the refusal of a vendor that does not answer.
var errAway = delegation.Refuse(delegation.IssuerUnavailable, errors.New("away"))

// newLeaverDesk is a desk whose vendor can be told that somebody has left, by the client
// "vendor app".
func newLeaverDesk(t *testing.T, at Options) (*desk, *leaver) {
	t.Helper()
	d, vendor := newDesk(t, at, "page"), new(leaver)
	d.o.Refresher, d.o.Revoker, d.o.Client = vendor, vendor, "vendor app"
	return d, vendor
}

// toldWith returns the access tokens that the vendor was told with.
func (l *leaver) toldWith() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.told, " ")
}

// answers sets what the vendor says from now on.
func (l *leaver) answers(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellErr, l.told = err, nil
}

// queued returns the accounts of which the vendor was not told yet.
func queued(t *testing.T, s *Store) string {
	t.Helper()
	var accounts []string
	if err := s.ForEachRevocation(t.Context(), func(r *Revocation) error {
		if r.Grant.Secret.Reveal() != "" || r.Grant.Tokens != (delegation.GrantTokens{}) {
			t.Errorf("a credential is listed: %+v", r.Grant)
		}
		accounts = append(accounts, r.Grant.Account)
		return nil
	}); err != nil {
		t.Error(err)
	}
	return strings.Join(accounts, " ")
}

// housekeeps does what is due of somebody's vendor, which is due at once.
func (d *desk) housekeeps() {
	d.t.Helper()
	alter(d.t, d.store, "UPDATE revocations SET due = 1, lease_until = 0")
	if _, err := d.keepOnce(d.t.Context(), "this machine"); err != nil {
		d.t.Error(err)
	}
}

// TestRevocationWaits protects people who have left from staying known to a vendor that
// was away, or because the machine was killed before it had told: it is told later, once,
// and meanwhile nobody can use what they had consented to.
func TestRevocationWaits(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		for name, leave := range map[string]func() bool{
			"away": func() bool {
				withdrawn, err := d.Withdraw(t.Context(), person("alice"))
				want(t, "leaving", err, nil)
				return withdrawn.RevokeGrants(t.Context()) != nil && withdrawn.IsPending()
			},
			"killed": func() bool { _, err := d.Withdraw(t.Context(), person("alice")); return err == nil },
			"an operator deletes it": func() bool {
				g, err := d.Get(t.Context(), person("alice"))
				return err == nil && d.store.Delete(t.Context(), g.ID, "root") == nil
			},
		} {
			vendor.answers(errAway)
			d.connects("alice", "1")
			if !leave() {
				t.Errorf("%s: it is not pending", name)
			}
			d.o.Cache.drop(person("alice"))
			if _, err := d.store.Find(t.Context(), owner("alice")); !errors.Is(err, ErrNotFound) || d.account("alice") != "" {
				t.Errorf("%s: she is still connected: %v", name, err)
			}
			d.housekeeps()
			if got := queued(t, d.store); got != "1" {
				t.Errorf("%s: queued while the vendor is away: %q", name, got)
			}
			vendor.answers(nil)
			var all sync.WaitGroup
			alter(t, d.store, "UPDATE revocations SET due = 1, lease_until = 0")
			for range 4 { // machines
				all.Go(func() { _ = d.revokeDue(t.Context(), d.store) })
			}
			all.Wait()
			d.housekeeps()
			if got := vendor.toldWith(); got != "access-of-1" || queued(t, d.store) != "" {
				t.Errorf("%s: told with %q, queued %q", name, got, queued(t, d.store))
			}
		}
	})
}

// TestRevocationDropped protects whoever connects an account again from losing it to the
// revocation of before, whatever provider and source they connect it by. That of another
// account stays.
func TestRevocationDropped(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		vendor.answers(errAway)
		leave := func(name, account string) {
			t.Helper()
			d.connects(name, account)
			if untold, err := d.leaves(name); untold == nil || err != nil {
				t.Errorf("%v, %v", untold, err)
			}
		}
		leave("alice", "1")
		leave("bob", "2")
		leave("carol", "3")
		d.connects("alice", "1")
		if got := queued(t, d.store); got != "2 3" {
			t.Errorf("queued %q", got)
		}
		other := *d
		other.Consents = NewConsents(d.o)
		other.o.Provider, other.o.Cache = "other", NewCache()
		other.connects("dora", "2")
		if got := queued(t, d.store); got != "3" {
			t.Errorf("queued after it was connected by another provider: %q", got)
		}
		// Control: by another client it is another consent.
		other.o.Client = "another app"
		other.connects("emil", "3")
		if got := queued(t, d.store); got != "3" {
			t.Errorf("queued after it was connected by another client: %q", got)
		}
		vendor.answers(nil)
		d.housekeeps()
		if got := vendor.toldWith(); got != "access-of-3" || d.account("alice") != "1" || other.account("dora") != "2" {
			t.Errorf("told with %q; they act as %q and %q", got, d.account("alice"), other.account("dora"))
		}
	})
}

// TestSharedAccountSpared protects somebody whose account another application of the
// same client has connected as well: the vendor, which ends all of them with one, is told
// when the last has ended.
func TestSharedAccountSpared(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		other := *d
		other.Consents = NewConsents(d.o)
		other.o.Provider, other.o.Cache = "other", NewCache()
		d.connects("alice", "1")
		other.connects("bob", "1")
		if untold, err := d.leaves("alice"); untold != nil || err != nil || vendor.toldWith() != "" || queued(t, d.store) != "" {
			t.Errorf("%v, %v: told with %q, queued %q", untold, err, vendor.toldWith(), queued(t, d.store))
		}
		// A result that is dropped is no reason to tell it, either.
		d.connects("carol", "2")
		d.revokeUnused(t.Context(), d.store, person("carol"), PendingResult{Account: "1", Client: "vendor app"})
		if vendor.toldWith() != "" || queued(t, d.store) != "" {
			t.Errorf("told with %q, queued %q", vendor.toldWith(), queued(t, d.store))
		}
		if other.account("bob") != "1" {
			t.Error("bob has lost his")
		}
		if untold, err := other.leaves("bob"); untold != nil || err != nil || vendor.toldWith() != "access-of-1" {
			t.Errorf("%v, %v: told with %q", untold, err, vendor.toldWith())
		}
	})
}

// TestRevocationMoves protects queued revocations from a rotation of the keyset, and
// from a provider's new name: they open, and the vendor is told.
func TestRevocationMoves(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		vendor.answers(errAway)
		d.connects("alice", "1")
		if untold, err := d.leaves("alice"); untold == nil || err != nil {
			t.Fatal(untold, err)
		}
		alter(t, d.store, "UPDATE revocations SET sealed_by = 'an older key'")
		if n, err := d.store.CountOutdated(t.Context()); n != 1 || err != nil {
			t.Errorf("%d outdated, %v", n, err)
		}
		if n, err := d.store.Reseal(t.Context(), "root"); n != 1 || err != nil {
			t.Errorf("%d sealed anew, %v", n, err)
		}
		if _, err := d.store.Rename(t.Context(), "mydex", "renamed", "root"); err != nil {
			t.Error(err)
		}
		d.o.Provider = "renamed"
		vendor.answers(nil)
		d.housekeeps()
		if got := vendor.toldWith(); got != "access-of-1" || queued(t, d.store) != "" {
			t.Errorf("told with %q, queued %q", got, queued(t, d.store))
		}
	})
}
