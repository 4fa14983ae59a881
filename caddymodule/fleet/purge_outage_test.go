// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tokens"
)

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
	b.wantDropped(t, alice)
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
	a.purge(t, alice) // it is complete as far as a can know
	s.kill()
	a.change(t)
	if !s.start() {
		t.Fatal("redis does not start")
	}
	way.mend(t)
	if c := a.change(t); c != "up" {
		t.Fatal(c)
	}
	b.wantDropped(t, alice)
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
			a.purge(t, alice)
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
	a.purge(t, delegation.Selection{Subject: "bob"})
	<-b.dropped
	s.signal(syscall.SIGSTOP)
	b.fleet.markDown(b.fleet.health.epoch.Load(), errDown)
	s.signal(syscall.SIGCONT)
	s.do("XTRIM", s.keys("purges")[0], "MAXLEN", "0")
	b.wantDropped(t, delegation.Selection{})
}

// TestNotUpWithPending protects from the moment between the last purge that is
// told and the first token that is shared: a purge of just then comes first.
func TestNotUpWithPending(t *testing.T) {
	_, a, _ := pair(t, serve(t), Options{})
	a.get(t, person("alice"))
	a.fleet.mu.Lock()
	r := a.fleet.purgeOutbox.add(streamSelection{"space", alice})
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
		j.add(streamSelection{"space", delegation.Selection{Subject: fmt.Sprint(n)}})
	}
	j.add(streamSelection{"other", alice})
	if j.pending["space"] != 1 || j.pending["other"] != 1 || len(j.records) != 2 {
		t.Errorf("pending %v", j.pending)
	}
	if j.records[streamSelection{Namespace: "space"}] == nil {
		t.Error("it is not of everybody")
	}
	for _, r := range j.records {
		r.At = r.At.Add(-2 * republishFor)
	}
	j.markPublished(j.records[streamSelection{"other", alice}])
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
	first := j.add(streamSelection{"space", alice})
	second := j.add(streamSelection{"space", alice})
	j.markPublished(first)
	if j.pending["space"] != 1 {
		t.Error("the second purge is called told")
	}
	j.markPublished(second, second)
	if len(j.pending) != 0 {
		t.Errorf("pending %v", j.pending)
	}
}
