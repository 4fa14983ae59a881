// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestOneWaitsForAll protects requests from a Redis that does not answer: when
// one command took too long all go on by themselves, and none tries again.
func TestOneWaitsForAll(t *testing.T) {
	s := serve(t)
	const timeout = 3 * time.Second // long, beside what a busy machine takes for the rest
	_, a, _ := pair(t, s, Options{Timeout: timeout})
	a.get(t, person("first"))
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	var wg sync.WaitGroup
	began := time.Now()
	for n := range 500 { // many more than commands at once
		wg.Go(func() { a.get(t, person(fmt.Sprint(n))) })
	}
	wg.Wait()
	if took := time.Since(began); took >= 2*timeout {
		t.Errorf("500 requests took %s", took)
	}
	began = time.Now()
	for n := range 100 {
		a.get(t, person(fmt.Sprint("later", n)))
	}
	if took := time.Since(began); took >= timeout {
		t.Errorf("100 requests while down took %s", took)
	}
	if st := a.member.Status(); st.Up || st.Failures != 1 {
		t.Errorf("status %+v", st)
	}
}

// TestNoSlotAfterTheEnd protects the requests in the queue: when Redis goes
// down they leave, and not one of them tries.
func TestNoSlotAfterTheEnd(t *testing.T) {
	s := serve(t)
	_, a, _ := pair(t, s, Options{})
	a.get(t, person("alice"))
	l := a.fleet.health.epoch.Load()
	for range cap(a.fleet.commandSlots) {
		a.fleet.commandSlots <- struct{}{}
	}
	var wg sync.WaitGroup
	run := func(context.Context) error { t.Error("tried"); return nil }
	for range 100 {
		wg.Go(func() {
			if err := a.fleet.do(context.Background(), l, run); !errors.Is(err, errDown) {
				t.Errorf("got %v", err)
			}
		})
	}
	a.fleet.markDown(l, errDataLost)
	wg.Wait() // although all turns are taken
	for range cap(a.fleet.commandSlots) {
		<-a.fleet.commandSlots
	}
	for range 100 {
		if err := a.fleet.do(t.Context(), l, run); !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
	}
}

// TestLateForASlot protects a flight from a queue that is too long: half of
// its time is left to mint alone.
func TestLateForASlot(t *testing.T) {
	i, a, _ := pair(t, serve(t), Options{})
	a.get(t, person("alice"))
	for range cap(a.fleet.commandSlots) {
		a.fleet.commandSlots <- struct{}{}
		defer func() { <-a.fleet.commandSlots }()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := a.token(ctx, "key", func(ctx context.Context) (*delegation.Token, error) { return i.fresh(), ctx.Err() }); err != nil {
		t.Errorf("got %v", err)
	}
	if a.member.Status().Failures != 0 {
		t.Error("redis was blamed")
	}
}

// TestCloseWaits protects a reload from what still runs in the old fleet.
func TestCloseWaits(t *testing.T) {
	_, a, _ := pair(t, serve(t), Options{})
	a.get(t, person("alice"))
	ended := false
	a.fleet.spawn(func() {
		<-a.fleet.ctx.Done()
		<-time.After(20 * time.Millisecond) // what ends takes its time
		ended = true
	})
	if err := a.fleet.Close(); err != nil || !ended {
		t.Errorf("closed before all ended, %v", err)
	}
	if a.fleet.spawn(func() {}) {
		t.Error("something began after the end")
	}
}

// TestClosed protects requests that drain after the fleet was closed, and
// whoever closes twice or what was never used.
func TestClosed(t *testing.T) {
	s := serve(t)
	_, a, b := pair(t, s, Options{})
	a.get(t, person("alice"))
	for _, m := range []*machine{a, b} {
		for range 2 {
			if err := m.fleet.Close(); err != nil {
				t.Error(err)
			}
		}
		m.get(t, person("bob"))
		if m.member.Status().Up {
			t.Error("up")
		}
	}
	if len(a.changes) > 0 {
		t.Error("closing is no outage")
	}
}

// TestCausesNameNothing protects logs: whatever Redis answers, the cause is in
// our own words.
func TestCausesNameNothing(t *testing.T) {
	s := serve(t)
	s.do("ACL", "SETUSER", "limited", "on", ">canary-password", "~canary:*", "+@all")
	for _, user := range []string{"limited:canary-password", "limited:canary-wrong", "canary-nobody:x"} {
		m := boot(t, new(issuer), Options{URL: strings.Replace(s.url(), "//", "//"+user+"@", 1), Sealer: newKeyset(t)})
		m.get(t, person("alice"))
		c := m.change(t)
		if strings.Contains(c, "canary") || strings.Contains(c, "127.0.0.1") {
			t.Errorf("cause %q", c)
		}
		if want := map[bool]string{true: "it does not allow all that is needed; in its own words: no permissions to access one of the keys used as arguments; with an ACL user give it: ACL SETUSER <user> " + ACL(false), false: "it does not accept the user or the password"}[user == "limited:canary-password"]; c != want {
			t.Errorf("%s: cause %q, want %q", user, c, want)
		}
	}
}
