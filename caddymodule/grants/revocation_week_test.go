// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// weeks runs a test in a time that passes at once, with SQLite, whose clock that is. The
// housekeeping runs.
func weeks(t *testing.T, test func(t *testing.T, d *desk, vendor *leaver)) {
	t.Helper()
	if withRace {
		// Weeks have hundreds of thousands of timers, and one of them once ended the process
		// in Go's own runtime (go1.26.8: SIGSEGV of a timer in a bubble, with the detector).
		t.Skip("time that passes at once is not for the race detector")
	}
	at := Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)}
	synctest.Test(t, func(t *testing.T) {
		d, vendor := newLeaverDesk(t, at)
		test(t, d, vendor)
	})
}

// keeps runs the housekeeping until the test ends.
func (d *desk) keeps() {
	ctx, stop := context.WithCancel(d.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Keep(ctx) }()
	d.t.Cleanup(func() { stop(); <-done })
}

// TestRevocationForAWeek protects a vendor that is away from being asked all the time,
// and people from one that is away for days: it is told at growing distance, for a week,
// and then nothing is kept.
func TestRevocationForAWeek(t *testing.T) {
	weeks(t, func(t *testing.T, d *desk, vendor *leaver) {
		outcomes := make(map[RevocationOutcome]int)
		d.o.Revoked = func(what RevocationOutcome, _ error) { outcomes[what]++ }
		for _, back := range []time.Duration{0, time.Minute, 24 * time.Hour, revocationLife} {
			vendor.answers(errAway)
			clear(outcomes)
			d.connects("alice", "1")
			if untold, err := d.leaves("alice"); untold == nil || err != nil {
				t.Fatal(untold, err)
			}
			if back == 0 {
				d.keeps()
			}
			time.Sleep(min(back, 24*time.Hour)) // of a week that is enough
			if back == revocationLife {
				alter(t, d.store, "UPDATE revocations SET created = $1", millis(time.Now().Add(-back)))
			}
			synctest.Wait()
			failed := outcomes[RevocationPending]
			if most := 14; failed > most || back > time.Hour && failed < most/2 {
				t.Errorf("%s: told %d times", back, failed)
			}
			vendor.answers(nil)
			time.Sleep(2 * maxRevocationPause)
			synctest.Wait()
			done, given := 1, 0
			if back == revocationLife {
				done, given = 0, 1
			}
			if outcomes[RevocationDone] != done || outcomes[RevocationGivenUp] != given || queued(t, d.store) != "" {
				t.Errorf("%s: %v, queued %q", back, outcomes, queued(t, d.store))
			}
		}
	})
}

// TestUnusedIsRenewed protects people who visit seldom from losing their consent with its
// refresh token: it is refreshed at 80 % of its life, and not beyond the end of their
// study.
func TestUnusedIsRenewed(t *testing.T) {
	const day = time.Hour // days of an hour: what else happens at each minute takes its time
	weeks(t, func(t *testing.T, d *desk, vendor *leaver) {
		d.keeps()
		life := func(n int) delegation.GrantTokens {
			return delegation.GrantTokens{Access: delegation.NewSecret("access-1"), Refresh: delegation.NewSecret("refresh-1"), AccessExpires: time.Now().Add(time.Minute), RefreshExpires: time.Now().Add(time.Duration(n) * day)}
		}
		d.tokens = life(100)
		if _, err := d.hands(d.Consents, "alice", d.begun("alice").BrowserToken, "1-alice"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(79 * day)
		synctest.Wait()
		if len(vendor.spent) != 0 {
			t.Errorf("refreshed too early: %q", vendor.spent)
		}
		time.Sleep(2 * day)
		synctest.Wait()
		if len(vendor.spent) != 1 || vendor.spent[0] != "refresh-1" || d.account("alice") != "1" {
			t.Errorf("spent %q; acts as %q", vendor.spent, d.account("alice"))
		}
		// Control: one whose study ends before.
		vendor.spent, d.tokens = nil, life(100)
		if _, err := d.hands(d.Consents, "bob", d.begun("bob").BrowserToken, "2-bob"); err != nil {
			t.Fatal(err)
		}
		if err := SetEnds(t.Context(), []*Consents{d.Consents}, person("bob"), time.Now().Add(50*day)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * day)
		synctest.Wait()
		if _, err := d.store.Find(t.Context(), owner("bob")); !errors.Is(err, ErrNotFound) || d.account("bob") != "" {
			t.Errorf("bob is connected beyond his study: %v", err)
		}
		if got := vendor.toldWith(); got != "access-2" { // by a fresh token
			t.Errorf("told with %q", got)
		}
	})
}

// TestUnusedIsSuspended protects the operator from calling a vendor for ever with a
// refresh token that it does not accept, and its owner from one word of a vendor in
// trouble: the second one suspends the grant.
func TestUnusedIsSuspended(t *testing.T) {
	weeks(t, func(t *testing.T, d *desk, vendor *leaver) {
		d.keeps()
		vendor.err = delegation.Refuse(delegation.DelegationRefused, errors.New("invalid_grant"))
		d.tokens = delegation.GrantTokens{Access: delegation.NewSecret("access-1"), Refresh: delegation.NewSecret("refresh-1"), RefreshExpires: time.Now().Add(time.Hour)}
		if _, err := d.hands(d.Consents, "alice", d.begun("alice").BrowserToken, "1-alice"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48*time.Minute + 10*time.Second)
		synctest.Wait()
		if g, err := d.store.Find(t.Context(), owner("alice")); err != nil || g.State != Active || len(vendor.spent) != 1 {
			t.Errorf("after one word: %+v, %v, spent %q", g, err, vendor.spent)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if g, err := d.store.Find(t.Context(), owner("alice")); err != nil || g.State != Suspended || len(vendor.spent) != 2 {
			t.Errorf("after the second: %+v, %v, spent %q", g, err, vendor.spent)
		}
	})
}
