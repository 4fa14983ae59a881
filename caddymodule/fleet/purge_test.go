// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

var alice = delegation.Selection{Realm: "r", Subject: "alice"}

// TestT57_PurgeDuringMint protects a logout on one machine from a mint that is
// in flight on another: its token is neither stored nor used, whichever
// selection covers the person.
func TestT57_PurgeDuringMint(t *testing.T) {
	id := person("alice")
	for _, selection := range id.Selections() {
		t.Run(fmt.Sprintf("%+v", selection), func(t *testing.T) {
			s := serve(t)
			i, a, b := pair(t, s, Options{})
			// Without an engine on a, which would notice the purge by itself.
			_, err := a.token(t.Context(), "key", func(ctx context.Context) (*delegation.Token, error) {
				if err := b.engine.Purge(ctx, selection); err != nil {
					t.Error(err)
				}
				return i.fresh(), nil
			})
			if !errors.Is(err, tokens.ErrPurged) {
				t.Errorf("got %v", err)
			}
			if kept := append(s.keys("token"), s.keys("lease")...); len(kept) != 0 {
				t.Errorf("kept: %q", kept)
			}
			if a.member.Status().Failures != 0 {
				t.Error("redis was blamed")
			}
			// What is minted afterwards is good.
			for range 2 {
				token, err := b.token(t.Context(), "key", func(context.Context) (*delegation.Token, error) { return i.fresh(), nil })
				if err != nil || token.Access.Reveal() != "canary-token-2" {
					t.Errorf("after the purge: %v", err)
				}
			}
		})
	}
}

// TestT57_PurgeOfOthers protects a mint from other people's purges.
func TestT57_PurgeOfOthers(t *testing.T) {
	i, a, b := pair(t, serve(t), Options{})
	if _, err := a.token(t.Context(), "key", func(ctx context.Context) (*delegation.Token, error) {
		for _, selection := range []delegation.Selection{
			{Realm: "other"}, {Subject: "bob"}, {Realm: "r", Subject: "bob"}, {Realm: "other", Subject: "alice"}, {Participant: "bob-participant"},
		} {
			if err := b.engine.Purge(ctx, selection); err != nil {
				t.Error(err)
			}
		}
		other := b.fleet.Join("another space", func(delegation.Selection, time.Time) {})
		defer other.Leave()
		if err := other.Purge(ctx, delegation.Selection{}); err != nil {
			t.Error(err)
		}
		return i.fresh(), nil
	}); err != nil {
		t.Error(err)
	}
}

// TestPurgeReachesTheOthers protects the promise of a second: what a machine
// has in memory is gone there, and what Redis has is no longer used.
func TestPurgeReachesTheOthers(t *testing.T) {
	i, a, b := pair(t, serve(t), Options{})
	a.get(t, person("alice"))
	b.get(t, person("alice"))
	b.get(t, person("bob"))
	began := time.Now()
	a.purge(t, alice)
	b.wantDropped(t, alice)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if b.get(t, person("alice")) != "canary-token-3" || b.get(t, person("bob")) != "canary-token-2" {
		t.Error("not what was selected is gone")
	}
	if n := i.mints.Load(); n != 3 {
		t.Errorf("%d mints", n)
	}
}

// TestOwnPurgeIsNotRepeated protects flights that begin after a purge: the
// machine that issued it has dropped already, and does so once.
func TestOwnPurgeIsNotRepeated(t *testing.T) {
	_, a, b := pair(t, serve(t), Options{})
	twin := make(chan delegation.Selection, 10)
	defer a.fleet.Join("space", func(s delegation.Selection, _ time.Time) { twin <- s }).Leave()
	a.get(t, person("alice"))
	b.get(t, person("alice"))
	a.purge(t, alice)
	// The next one comes back after the first has.
	b.purge(t, delegation.Selection{Subject: "bob"})
	if first, second := <-a.dropped, <-a.dropped; first != alice || second.Subject != "bob" {
		t.Errorf("dropped %+v, then %+v", first, second)
	}
	if first, second := <-twin, <-twin; first != alice || second.Subject != "bob" {
		t.Errorf("the other engine of this machine dropped %+v, then %+v", first, second)
	}
}

// TestPurgeMissed protects from a purge that another machine issues while this
// one cannot reach Redis: it is applied before tokens are shared again.
func TestPurgeMissed(t *testing.T) {
	s := serve(t)
	keys := newKeyset(t)
	i := new(issuer)
	a := boot(t, i, Options{URL: s.url(), Sealer: keys})
	way := relay(t, s)
	b := boot(t, i, Options{URL: way.url(), Sealer: keys, Timeout: 500 * time.Millisecond})
	b.get(t, person("alice"))
	way.cut()
	b.change(t)
	a.purge(t, alice)
	b.get(t, person("alice")) // in memory: it cannot know
	way.mend(t)
	if c := b.change(t); c != "up" {
		t.Fatal(c)
	}
	if len(b.dropped) == 0 {
		t.Fatal("it is up and has not read the purge")
	}
	b.wantDropped(t, alice)
}

// TestRotation protects purges while machines have files of different steps:
// whatever key a machine names by, it finds the others' purges.
func TestRotation(t *testing.T) {
	old := newKeyset(t)
	staged := clone(t, old)
	if err := staged.Stage(); err != nil {
		t.Fatal(err)
	}
	promoted := clone(t, staged)
	if err := promoted.Promote(); err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][2]Sealer{
		"to staged": {old, staged}, "from staged": {staged, old},
		"to promoted": {staged, promoted}, "from promoted": {promoted, staged},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			i := new(issuer)
			a := boot(t, i, Options{URL: s.url(), Sealer: keys[0]})
			b := boot(t, i, Options{URL: s.url(), Sealer: keys[1]})
			a.get(t, person("alice"))
			_, err := b.token(t.Context(), "key", func(ctx context.Context) (*delegation.Token, error) {
				if err := a.engine.Purge(ctx, alice); err != nil {
					t.Error(err)
				}
				return i.fresh(), nil
			})
			if !errors.Is(err, tokens.ErrPurged) {
				t.Errorf("the mint in flight: %v", err)
			}
			b.wantDropped(t, alice)
		})
	}
}

// TestPurgedHereIsNotReadBack protects a purge from Redis: between dropping a
// token here and telling Redis, a page that goes on asking would read it back.
func TestPurgedHereIsNotReadBack(t *testing.T) {
	s := serve(t)
	_, a, _ := pair(t, s, Options{})
	for n := range 50 {
		id := person(fmt.Sprint("alice", n))
		old := a.get(t, id)
		var stop atomic.Bool
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for !stop.Load() {
					if _, _, err := a.view.Get(t.Context(), id); err != nil && !errors.Is(err, tokens.ErrPurged) {
						t.Error(err)
						return
					}
				}
			})
		}
		a.purge(t, delegation.Selection{Realm: "r", Subject: id.Subject})
		stop.Store(true)
		asking.Wait()
		if a.get(t, id) == old {
			t.Fatalf("%s's old token is served after the purge", id.Subject)
		}
	}
}

// TestPurgesOfLongAgo protects a machine that starts from letting in who has
// signed out before: it is told of every purge that Redis still knows, and when
// that was.
func TestPurgesOfLongAgo(t *testing.T) {
	s := serve(t)
	_, a, _ := pair(t, s, Options{})
	began := time.Now()
	if err := a.member.Purge(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	late, err := Open(Options{URL: s.url(), Sealer: a.fleet.sealer, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	told := make(chan time.Time, 10)
	defer late.Join("space", func(s delegation.Selection, at time.Time) {
		if s == alice {
			told <- at
		}
	}).Leave()
	ended := time.Now()
	late.stream.caughtUp = ended.Add(time.Hour) // as if all that was an hour before it was opened
	late.Start()
	select {
	case at := <-told:
		if at.Before(began) || at.After(ended) {
			t.Errorf("at %s; it was between %s and %s", at, began, ended)
		}
	case <-time.After(10 * time.Second):
		t.Error("it is not told")
	}
}
