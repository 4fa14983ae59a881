// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
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
	if err := a.engine.Purge(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if got := <-b.dropped; got != alice {
		t.Errorf("dropped %+v", got)
	}
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
	if err := a.engine.Purge(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	// The next one comes back after the first has.
	if err := b.engine.Purge(t.Context(), delegation.Selection{Subject: "bob"}); err != nil {
		t.Fatal(err)
	}
	if first, second := <-a.dropped, <-a.dropped; first != alice || second.Subject != "bob" {
		t.Errorf("dropped %+v, then %+v", first, second)
	}
	if first, second := <-twin, <-twin; first != alice || second.Subject != "bob" {
		t.Errorf("the other engine of this machine dropped %+v, then %+v", first, second)
	}
}

// TestPurgeWhileDown protects a logout during an outage: whoever asks is told
// that it is incomplete, and the others learn of it before the machine shares
// tokens again.
func TestPurgeWhileDown(t *testing.T) {
	s := serve(t, "--appendonly", "yes")
	_, a, b := pair(t, s, Options{})
	a.get(t, person("alice"))
	b.get(t, person("alice"))
	s.kill()
	if a.change(t) == "up" || b.change(t) == "up" {
		t.Fatal("nobody noticed")
	}
	for range 3 { // coalesced
		if err := a.engine.Purge(t.Context(), alice); !errors.Is(err, tokens.ErrIncomplete) {
			t.Errorf("got %v", err)
		}
	}
	if st := a.member.Status(); st.Pending != 1 || st.Up || st.Failures != 1 {
		t.Errorf("status %+v", st)
	}
	if !s.start() {
		t.Fatal("redis does not start")
	}
	if c := a.change(t); c != "up" {
		t.Errorf("a: %s", c)
	}
	if st := a.member.Status(); st.Pending != 0 {
		t.Errorf("it is up with %+v", st)
	}
	// Redis has kept the token; it must not serve.
	if a.get(t, person("alice")) != "canary-token-2" {
		t.Error("the purged token was used")
	}
	if c := b.change(t); c != "up" {
		t.Errorf("b: %s", c)
	}
	select {
	case got := <-b.dropped:
		if got != alice {
			t.Errorf("dropped %+v", got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("b does not know")
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
	if err := a.engine.Purge(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	b.get(t, person("alice")) // in memory: it cannot know
	way.mend(t)
	if c := b.change(t); c != "up" {
		t.Fatal(c)
	}
	select {
	case got := <-b.dropped:
		if got != alice {
			t.Errorf("dropped %+v", got)
		}
	default:
		t.Error("it is up and has not read the purge")
	}
}

// TestRestartWithoutPersistence protects purges of just before Redis lost its
// data: the others may not have read them, so they are told again.
func TestRestartWithoutPersistence(t *testing.T) {
	s := serve(t)
	keys := newKeyset(t)
	i := new(issuer)
	a := boot(t, i, Options{URL: s.url(), Sealer: keys})
	way := relay(t, s)
	b := boot(t, i, Options{URL: way.url(), Sealer: keys, Timeout: 500 * time.Millisecond})
	a.get(t, person("alice"))
	b.get(t, person("alice"))
	way.cut()
	b.change(t)
	if err := a.engine.Purge(t.Context(), alice); err != nil {
		t.Fatal(err) // it is complete as far as a can know
	}
	s.kill()
	a.change(t)
	if !s.start() {
		t.Fatal("redis does not start")
	}
	way.mend(t)
	if c := a.change(t); c != "up" {
		t.Fatal(c)
	}
	select {
	case got := <-b.dropped:
		if got != alice {
			t.Errorf("dropped %+v", got)
		}
	case <-time.After(5 * time.Second):
		t.Error("b does not know")
	}
}

// TestDataLost protects purges from an outage that only the data has: somebody
// empties Redis, or puts other data in its place.
func TestDataLost(t *testing.T) {
	for name, lose := range map[string]func(s *server){
		"emptied":  func(s *server) { s.do("FLUSHALL") },
		"replaced": func(s *server) { s.do("SET", s.keys("incarnation")[0], "another") },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			_, a, b := pair(t, s, Options{})
			a.get(t, person("alice"))
			b.get(t, person("alice"))
			if err := a.engine.Purge(t.Context(), alice); err != nil {
				t.Fatal(err)
			}
			<-b.dropped
			lose(s)
			for _, m := range []*machine{a, b} {
				if c := m.change(t); c != "it has lost its data" {
					t.Errorf("cause %q", c)
				}
				if c := m.change(t); c != "up" {
					t.Errorf("then %q", c)
				}
			}
			until(t, 5*time.Second, "the purge is told again", func() bool { return len(b.dropped) > 0 })
		})
	}
}

// TestTooManyMissed protects from purges that Redis has forgotten before this
// machine could read them: it drops everything.
func TestTooManyMissed(t *testing.T) {
	s := serve(t)
	_, a, b := pair(t, s, Options{})
	b.get(t, person("alice"))
	a.get(t, person("alice"))
	if err := a.engine.Purge(t.Context(), delegation.Selection{Subject: "bob"}); err != nil {
		t.Fatal(err)
	}
	<-b.dropped
	s.signal(syscall.SIGSTOP)
	b.fleet.markDown(b.fleet.health.epoch.Load(), errDown)
	s.signal(syscall.SIGCONT)
	s.do("XTRIM", s.keys("purges")[0], "MAXLEN", "0")
	if got := <-b.dropped; got != (delegation.Selection{}) {
		t.Errorf("dropped %+v", got)
	}
}

// TestNotUpWithPending protects from the moment between the last purge that is
// told and the first token that is shared: a purge of just then comes first.
func TestNotUpWithPending(t *testing.T) {
	_, a, _ := pair(t, serve(t), Options{})
	a.get(t, person("alice"))
	a.fleet.mu.Lock()
	r := a.fleet.purgeOutbox.add(purge{"space", alice})
	a.fleet.mu.Unlock()
	if a.fleet.markUp() != nil {
		t.Error("it is up, and the others do not know")
	}
	a.fleet.mu.Lock()
	a.fleet.purgeOutbox.markPublished(r)
	a.fleet.mu.Unlock()
	if a.fleet.markUp() == nil {
		t.Error("it is not up, though they know")
	}
}

// TestPendingIsBounded protects memory during a long outage: of too many
// purges they become one, of everybody, and what was told is forgotten after a
// while.
func TestPendingIsBounded(t *testing.T) {
	j := newPurgeOutbox()
	for n := range maxPending + 1 {
		j.add(purge{"space", delegation.Selection{Subject: fmt.Sprint(n)}})
	}
	j.add(purge{"other", alice})
	if j.pending["space"] != 1 || j.pending["other"] != 1 || len(j.records) != 2 {
		t.Errorf("pending %v", j.pending)
	}
	if j.records[purge{Namespace: "space"}] == nil {
		t.Error("it is not of everybody")
	}
	for _, r := range j.records {
		r.At = r.At.Add(-2 * republishFor)
	}
	j.markPublished(j.records[purge{"other", alice}])
	j.dropPublished()
	if len(j.records) != 1 || j.pending["space"] != 1 {
		t.Errorf("after a while there are %d, pending %v", len(j.records), j.pending)
	}
}

// TestPurgeInterrupted protects a logout at the moment at which Redis stops to
// answer: it is pending, and told when Redis is back. A purge that was told
// does not settle a later one of the same selection.
func TestPurgeInterrupted(t *testing.T) {
	s := serve(t)
	_, a, b := pair(t, s, Options{Timeout: 300 * time.Millisecond})
	a.get(t, person("alice"))
	b.get(t, person("alice"))
	ctx, leave := context.WithCancel(t.Context())
	leave() // who asked does not wait for it
	if err := a.engine.Purge(ctx, delegation.Selection{Subject: "bob"}); err != nil {
		t.Errorf("redis is well, and yet: %v", err)
	}
	<-b.dropped
	s.signal(syscall.SIGSTOP)
	if err := a.engine.Purge(ctx, alice); !errors.Is(err, tokens.ErrIncomplete) {
		t.Errorf("got %v", err)
	}
	if st := a.member.Status(); st.Pending != 1 {
		t.Errorf("status %+v", st)
	}
	s.signal(syscall.SIGCONT)
	for got := (delegation.Selection{}); got != alice; got = <-b.dropped {
	}
	until(t, 5*time.Second, "it is complete", func() bool { return a.member.Status().Pending == 0 && a.fleet.Up() })

	j := newPurgeOutbox()
	first := j.add(purge{"space", alice})
	second := j.add(purge{"space", alice})
	j.markPublished(first)
	if j.pending["space"] != 1 {
		t.Error("the second purge is called told")
	}
	j.markPublished(second, second)
	if len(j.pending) != 0 {
		t.Errorf("pending %v", j.pending)
	}
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
			if got := <-b.dropped; got != alice {
				t.Errorf("dropped %+v", got)
			}
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
		if err := a.engine.Purge(t.Context(), delegation.Selection{Realm: "r", Subject: id.Subject}); err != nil {
			t.Fatal(err)
		}
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
