// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestR12_ReplicaClock protects everybody whose way leads over a machine with a
// wrong clock, one that stands decades behind: with PostgreSQL all deadlines are the
// database's. What such a machine begins can be ended by the others, and it ends
// and claims what they have begun, in time and not too late.
func TestR12_ReplicaClock(t *testing.T) {
	address, err := postgresServer(t).Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := Options{Postgres: address, Keyset: newKeyset(t)}
	right := opened(t, at)
	staged := stagedFlow(t, right, newFlow("staged there"), "1", "key")
	open, late := begun(t, right, newFlow("open there")), begun(t, right, newFlow("late there"))
	page, latePage, lapsed := pageFlow(t, right, "page there"), pageFlow(t, right, "late page"), pageFlow(t, right, "lapsed there")
	busy := pageFlow(t, right, "busy there")
	claimed(t, right, busy.post("busy"))
	claimed(t, right, lapsed.post("lapsed"))
	for _, j := range []*Flow{late, latePage} {
		alter(t, right, "UPDATE journeys SET expires = $1 WHERE person = $2", millis(time.Now())-1, right.ownerPseudonym(j.Owner))
	}
	alter(t, right, "UPDATE journeys SET claim_until = $1 WHERE person = $2", millis(time.Now())-1, right.ownerPseudonym(lapsed.Owner))

	var openHere, pageHere, claimedHere *Flow
	synctest.Test(t, func(t *testing.T) {
		wrong, err := Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = wrong.Close() }()
		if _, first, err := wrong.Complete(t.Context(), staged.returned()); err != nil || !first {
			t.Errorf("staged there: %t %v", first, err)
		}
		want(t, "open there", wrong.Stage(t.Context(), "mydex", "", open.CorrelationID.Reveal(), pendingResult("2", "key")), nil)
		want(t, "late there", wrong.Stage(t.Context(), "mydex", "", late.CorrelationID.Reveal(), pendingResult("3", "key")), ErrNotFound)
		want(t, "late there", wrong.Pending(t.Context(), late.Owner), ErrNotFound)
		want(t, "busy there", wrong.Pending(t.Context(), busy.Owner), nil)
		finished(t, wrong, claimed(t, wrong, page.post("page")), "4", "key")
		_, err = wrong.Claim(t.Context(), latePage.post("late page"))
		want(t, "late page", err, ErrNotFound)
		_, err = wrong.Claim(t.Context(), busy.post("busy"))
		want(t, "busy there", err, ErrClaimed)
		finished(t, wrong, claimed(t, wrong, lapsed.post("lapsed")), "5", "key")
		openHere, pageHere, claimedHere = begun(t, wrong, newFlow("open here")), pageFlow(t, wrong, "page here"), pageFlow(t, wrong, "claimed here")
		claimed(t, wrong, claimedHere.post("claimed"))
		want(t, "sweeping", wrong.sweepFlows(t.Context()), nil)
		for _, g := range all(t, wrong) {
			if age := time.Until(g.Created); age < 20*365*24*time.Hour { // by its clock that is the future
				t.Errorf("a grant was made at %s", g.Created)
			}
		}
	})
	want(t, "sweeping", right.sweepFlows(t.Context()), nil)
	want(t, "open here", right.Stage(t.Context(), "mydex", "", openHere.CorrelationID.Reveal(), pendingResult("6", "key")), nil)
	if _, first, err := right.Complete(t.Context(), openHere.returned()); err != nil || !first {
		t.Errorf("open here: %t %v", first, err)
	}
	finished(t, right, claimed(t, right, pageHere.post("here")), "7", "key")
	_, err = right.Claim(t.Context(), claimedHere.post("claimed"))
	want(t, "claimed here", err, ErrClaimed)
	for account, who := range map[string]string{"1": "staged there", "4": "page there", "5": "lapsed there", "6": "open here", "7": "page here"} {
		holds(t, right, who, account, "key")
	}
}

// TestSuspendedByAnotherClock protects somebody whose grant was suspended, on a
// machine whose clock is ten minutes slow or fast: the database's tells when it is
// probed, neither at once, as by the fast one, nor ten minutes late.
func TestSuspendedByAnotherClock(t *testing.T) {
	address, err := postgresServer(t).Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := Options{Postgres: address, Keyset: newKeyset(t)}
	right := opened(t, at)
	for off, names := range map[time.Duration][2]string{-10 * time.Minute: {"just now, slow", "ago, slow"}, 10 * time.Minute: {"just now, fast", "ago, fast"}} {
		for i, name := range names {
			g := connected(t, right, name, name, "key")
			if done, err := right.Suspend(t.Context(), g, causeRefused); !done || err != nil {
				t.Fatal(done, err)
			}
			if i == 1 {
				alter(t, right, "UPDATE grants SET changed = changed - $1 WHERE id = $2", probeSuspendedAfter.Milliseconds(), g.ID)
			}
		}
		clock := time.Now().Add(off)
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(clock))
			d := newDesk(t, at, "callback")
			defer func() { _ = d.o.Store.Close() }()
			d.verdict.Store(int64(delegation.ProbeAccepted))
			if got := d.account(names[0]); got != "" || d.probes.Load() != 0 {
				t.Errorf("%s: used as %q, %d probes", names[0], got, d.probes.Load())
			}
			if got := d.account(names[1]); got != names[1] || d.probes.Load() != 1 {
				t.Errorf("%s: used as %q, %d probes", names[1], got, d.probes.Load())
			}
		})
	}
}

// TestLeaseByAnotherClock protects a refresh token from being spent twice, or by nobody,
// because one machine of several is ten minutes slow or fast: whose lease it is, and for
// how long, is told by the database's clock.
func TestLeaseByAnotherClock(t *testing.T) {
	address, err := postgresServer(t).Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := Options{Postgres: address, Keyset: newKeyset(t)}
	right, i := opened(t, at), newIssuer(false)
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		held, died, other := oauthGrant(t, right, i, "held"+off.String()), oauthGrant(t, right, i, "died"+off.String()), oauthGrant(t, right, i, "other"+off.String())
		leasedNow := func(t *testing.T, what string, s *Store, g *Grant) {
			t.Helper()
			_, err := s.Lease(t.Context(), g, LeaseRefresh, callTimeout)
			if e, ok := errors.AsType[*LeasedError](err); !ok || e.For <= 0 || e.For > callTimeout+leaseMargin {
				t.Errorf("%s off, %s: %v", off, what, err)
			}
		}
		mine := leased(t, right, held, LeaseRefresh)
		leased(t, right, died, LeaseRefresh) // and does not come back
		alter(t, right, "UPDATE grants SET lease_until = $1 WHERE id = $2", millis(time.Now())-1, died.ID)
		clock := time.Now().Add(off)
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(clock))
			wrong, err := Open(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = wrong.Close() }()
			leasedNow(t, "held there", wrong, held)
			taken := leased(t, wrong, died, LeaseRefresh)
			if taken.Uncertain != 1 {
				t.Errorf("%s off: %d attempts at the token of who has died", off, taken.Uncertain)
			}
			if _, err := taken.Rotate(t.Context(), *i.tokens(died.Subject, 1), nil); err != nil {
				t.Error(err)
			}
			here := leased(t, wrong, other, LeaseRefresh)
			leasedNow(t, "held here", right, other)
			if _, err := here.Rotate(t.Context(), *i.tokens(other.Subject, 1), nil); err != nil {
				t.Error(err)
			}
		})
		if _, err := mine.Rotate(t.Context(), *i.tokens(held.Subject, 1), nil); err != nil {
			t.Error(err)
		}
		for _, g := range []*Grant{held, died, other} {
			hasTokens(t, right, i, g.Subject, 1)
			want(t, "free again", leased(t, right, found(t, right, g.Subject), LeaseRefresh).Cancel(t.Context()), nil)
		}
	}
}
