// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// later has what is in memory be as old as it may be.
func (d *desk) later(name string, by time.Duration) {
	d.t.Helper()
	cache, who := d.o.Cache, person(name)
	if h, ok := cache.get(who); ok {
		old := *h
		old.refreshedAt = old.refreshedAt.Add(-by)
		cache.putUnlessDropped(who, &old, cache.dropCount(who))
	}
}

// resumable has what was suspended be long enough ago to be probed again.
func (d *desk) resumable() {
	d.t.Helper()
	if err := d.store.write(d.t.Context(), "a test", func(ctx context.Context, tx querier) error {
		_, err := d.store.exec(ctx, tx, "UPDATE grants SET changed = changed - ", probeSuspendedAfter.Milliseconds(), "")
		return err
	}); err != nil {
		d.t.Fatal(err)
	}
}

// TestReadAgain protects somebody whom an operator or another machine has
// taken a grant from: within 30 seconds it is not used any more.
func TestReadAgain(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		g := connected(t, d.store, "alice", "1", "key")
		if got := d.account("alice"); got != "1" {
			t.Fatal(got)
		}
		if err := d.store.Release(t.Context(), g.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if got := d.account("alice"); got != "1" {
			t.Errorf("%q: it is read each time", got)
		}
		d.later("alice", freshFor)
		if got := d.account("alice"); got != "" {
			t.Errorf("it is used as %s", got)
		}
		connected(t, d.store, "bob", "1", "key")
		if got := d.account("bob"); got != "1" {
			t.Error(got)
		}
	})
}

// TestForgottenInFlight protects somebody who leaves while their grant is being
// read for another request of theirs: who asks after that does not get it.
func TestForgottenInFlight(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		connected(t, d.store, "alice", "1", "key")
		who, cache := person("alice"), d.o.Cache
		since, began := cache.dropCount(who), time.Now()
		g, err := d.load(t.Context(), who, since) // a flight that began before
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Withdraw(t.Context(), who); err != nil {
			t.Fatal(err)
		}
		cache.putUnlessDropped(who, &cachedGrant{grant: g, readAt: began, refreshedAt: began}, since)
		if got := d.account("alice"); got != "" {
			t.Errorf("used as %s", got)
		}
	})
}

// TestResumeAfterAnOutage protects somebody whose grant was suspended from a
// platform that is away: that says nothing of a credential, which is tried again a
// little later.
func TestResumeAfterAnOutage(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		g := connected(t, d.store, "alice", "1", "key")
		if _, err := d.store.Suspend(t.Context(), g, causeRefused); err != nil {
			t.Fatal(err)
		}
		if got := d.account("alice"); got != "" || d.probes.Load() != 0 {
			t.Errorf("used as %q, probed %d times at once", got, d.probes.Load())
		}
		d.resumable()
		d.verdict.Store(int64(delegation.ProbeUnknown))
		for i := range 6 {
			for range 5 {
				if d.account("alice") != "" {
					t.Error("it is used")
				}
			}
			if n := int(d.probes.Load()); n != i+1 {
				t.Errorf("%d: %d probes", i, n)
			}
			d.o.Cache.pace.probed.DeleteFunc(func(struct{}) bool { return true }) // half a minute later
		}
		d.verdict.Store(int64(delegation.ProbeAccepted))
		if got := d.account("alice"); got != "1" || d.events.Load() != 1 {
			t.Errorf("it is not used: %q, %d events", got, d.events.Load())
		}
	})
}

// TestDatabaseAway protects those whose grants are in memory from a database that
// is away: they go on for an hour, and nobody is told that they have to consent.
func TestDatabaseAway(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		connected(t, d.store, "alice", "1", "key")
		connected(t, d.store, "bob", "2", "key")
		if got := d.account("alice"); got != "1" {
			t.Fatal(got)
		}
		if err := d.o.Store.Close(); err != nil {
			t.Fatal(err)
		}
		d.later("alice", freshFor)
		if got := d.account("alice"); got != "1" {
			t.Errorf("alice is %q", got)
		}
		calls := map[string]func() error{
			"get": func() error { _, err := d.Get(t.Context(), person("bob")); return err },
			"newer": func() error {
				_, _, err := d.GetNewer(t.Context(), &delegation.Grant{Person: person("alice")})
				return err
			},
			"status":     func() error { _, err := d.Status(t.Context(), person("alice")); return err },
			"start":      func() error { _, err := d.Start(t.Context(), StartRequest{Person: person("bob")}); return err },
			"callback":   func() error { return d.callback("x", "1", "key") },
			"return":     func() error { _, err := d.returns("bob", new(Started), nil); return err },
			"disconnect": func() error { _, err := d.Withdraw(t.Context(), person("bob")); return err },
		}
		for what, call := range calls {
			if got := code(call()); got != delegation.GrantsUnavailable {
				t.Errorf("%s: %q", what, got)
			}
		}
		if len(d.starts) != 0 {
			t.Error("the platform is called for a flow that cannot be written")
		}
		if r := d.Suspend(t.Context(), &delegation.Grant{Person: person("alice")}); r != nil {
			t.Errorf("suspended: %v", r)
		}
	})
}

// TestGetNewer protects a credential that is in use: what another machine has
// changed is found at once, and a grant that is the same is told so.
func TestGetNewer(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "callback")
		connected(t, d.store, "alice", "1", "key")
		stale, err := d.Get(t.Context(), person("alice"))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := d.GetNewer(t.Context(), stale); ok || err != nil {
			t.Errorf("the same grant is newer: %t %v", ok, err)
		}
		connected(t, d.store, "alice", "1", "key-2")
		now, ok, err := d.GetNewer(t.Context(), stale)
		if err != nil || !ok || now.Secret.Reveal() != "key-2" {
			t.Fatalf("%t %v", ok, err)
		}
		if again, err := d.Get(t.Context(), person("alice")); err != nil || again.Version != now.Version {
			t.Errorf("memory has another: %v", err)
		}
		if r := d.Suspend(t.Context(), stale); r != nil {
			t.Errorf("the grant from before is suspended: %v", r)
		}
		if r := d.Suspend(t.Context(), now); r == nil || r.Code != delegation.ConsentRequired || d.events.Load() != 1 {
			t.Errorf("%v, %d events", r, d.events.Load())
		}
		if _, _, err := d.GetNewer(t.Context(), now); code(err) != delegation.ConsentRequired || d.probes.Load() != 0 {
			t.Errorf("%v, %d probes", err, d.probes.Load())
		}
	})
}

// TestSuspendEverybody protects people from a platform that for a moment refuses
// everybody: three of them are asked to consent anew, not all.
func TestSuspendEverybody(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, suspended := newDesk(t, at, "callback"), 0
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			connected(t, d.store, name, name, "key")
			g, err := d.Get(t.Context(), person(name))
			if err != nil {
				t.Fatal(err)
			}
			if d.Suspend(t.Context(), g) != nil {
				suspended++
			}
			if inUse := d.account(name) != ""; inUse != (suspended == 3 && name > "c") {
				t.Errorf("%s is in use: %t", name, inUse)
			}
		}
		if suspended != 3 || d.events.Load() != 3 {
			t.Errorf("%d suspended, %d events", suspended, d.events.Load())
		}
	})
}
