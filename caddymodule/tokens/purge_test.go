// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var selections = map[string]delegation.Selection{
	"everybody":          {},
	"realm":              {Realm: "r"},
	"subject":            {Subject: "alice"},
	"subject in a realm": {Realm: "r", Subject: "alice"},
	"participant":        {Participant: "A"},
}

// TestT57_PurgeDuringAMint protects a logout that meets a mint: the token is
// neither used nor kept, and who asks after the purge does not get it either.
func TestT57_PurgeDuringAMint(t *testing.T) {
	for name, selection := range selections {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, i := start(t, Options{}, time.Hour)
				i.hold = make(chan struct{})
				got := make(chan error)
				ask := func() { _, _, err := i.view.Get(t.Context(), alice); got <- err }
				go ask()
				synctest.Wait()
				if err := e.Purge(t.Context(), selection); err != nil {
					t.Fatal(err)
				}
				go ask() // after the purge: not with the flight that is doomed
				synctest.Wait()
				close(i.hold)
				first, second := <-got, <-got
				if first == nil {
					first, second = second, first
				}
				if !errors.Is(first, ErrPurged) || second != nil || i.count() != 2 {
					t.Errorf("%v and %v after %d mints; want the first refused, the second a mint of its own", first, second, i.count())
				}
				if r := delegation.AsRefusal(first); r.Status() != 503 || r.BoundedRetryAfter() != time.Second {
					t.Errorf("refused with %d, retry after %s", r.Status(), r.BoundedRetryAfter())
				}
				i.want(t, alice, true, "")
			})
		})
	}
}

// TestPurgeIsExact protects those who are not meant: they keep their tokens,
// and their mints in flight.
func TestPurgeIsExact(t *testing.T) {
	other := delegation.Identity{
		Provider: "p", Person: delegation.Person{Realm: "other", Subject: "bob"}, Participant: "B", Scopes: []string{"s"},
	}
	for name, selection := range selections {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, i := start(t, Options{}, time.Hour)
				i.get(t, alice)
				i.get(t, other)
				i.get(t, service)
				if err := e.Purge(t.Context(), selection); err != nil {
					t.Fatal(err)
				}
				all := name == "everybody"
				i.want(t, alice, false, "")
				i.want(t, other, !all, "")
				i.want(t, service, !all, "")
				if len(i.forgot) != 1 || i.forgot[0] != selection {
					t.Errorf("the provider was told %+v", i.forgot)
				}
			})
		})
	}
}

// TestPurgeForgetsRefusals protects an operator who has mended somebody's
// account: the refusal is not remembered any longer.
func TestPurgeForgetsRefusals(t *testing.T) {
	for _, selection := range selections {
		_, i := start(t, Options{}, time.Hour)
		i.failing(delegation.DelegationRefused, 0)
		i.want(t, alice, false, delegation.DelegationRefused)
		i.failing("", 0)
		if err := i.view.engine.Purge(t.Context(), selection); err != nil {
			t.Fatal(err)
		}
		i.want(t, alice, false, "")
	}
}

// TestPurgeOfEverybodyTriesAgain protects an operator who has mended the
// account from waiting for the breaker.
func TestPurgeOfEverybodyTriesAgain(t *testing.T) {
	e, i := start(t, Options{}, time.Hour)
	i.failing(delegation.CredentialsRejected, 0)
	for n := range distinct {
		i.want(t, person(fmt.Sprint(n)), false, delegation.CredentialsRejected)
	}
	i.failing("", 0)
	e.PurgeLocal(delegation.Selection{Subject: "0"})
	i.want(t, alice, false, delegation.CredentialsRejected)
	e.PurgeLocal(delegation.Selection{})
	i.want(t, alice, false, "")
}

// TestPurgesAreForgotten protects memory from every logout being remembered
// for ever: a purge matters as long as an operation from before it goes on, and
// not for a moment longer.
func TestPurgesAreForgotten(t *testing.T) {
	p := NewPurges()
	purge := func(subject string) { p.Add(delegation.Selection{Subject: subject})() }
	want := func(what string, remembered int) {
		t.Helper()
		if n := len(p.latest); n != remembered || p.oldestFirst.Len() > n {
			t.Errorf("%s: %d purges are remembered, want %d", what, n, remembered)
		}
	}
	for n := range 1000 {
		purge(fmt.Sprint(n))
	}
	want("nothing goes on", 0)
	first := p.Begin(&alice)
	for n := range 1000 {
		purge(fmt.Sprint(n))
		purge("bob") // again and again
	}
	second := p.Begin(&alice)
	want("an operation goes on", 1001)
	purge("alice")
	third := p.Begin(&alice)
	if !first.Purged() || !second.Purged() || third.Purged() {
		t.Error("not those from before are purged")
	}
	first.End()
	want("the first has ended", 1)
	if _, err := first.Resume(); err == nil {
		t.Error("what has ended is taken up again, and nobody knows whether it was purged")
	}
	second.End()
	want("the third has to be told from those before", 1)
	again := p.Begin(&alice)
	if again.Generation() != third.Generation() {
		t.Error("two of the same time do not share a flight")
	}
	third.End()
	again.End()
	want("all have ended", 0)
}
