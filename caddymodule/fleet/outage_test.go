// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// load has machines ask for tokens of ever new people until it is stopped, and
// fails the test if one of them is refused or waits for too long.
func load(t *testing.T, machines ...*machine) (stop func()) {
	var (
		wg      sync.WaitGroup
		done    = make(chan struct{})
		people  atomic.Int64
		slowest atomic.Int64
	)
	for _, m := range machines {
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					began := time.Now()
					if _, _, err := m.view.Get(context.Background(), person(fmt.Sprint(people.Add(1)/2))); err != nil {
						t.Errorf("refused because of redis: %v", err)
						return
					}
					if took := int64(time.Since(began)); took > slowest.Load() {
						slowest.Store(took)
					}
				}
			})
		}
	}
	return func() {
		close(done)
		wg.Wait()
		if took := time.Duration(slowest.Load()); took > 5*time.Second {
			t.Errorf("somebody waited %s", took)
		}
		t.Logf("%d requests, the slowest took %s", people.Load(), time.Duration(slowest.Load()))
	}
}

// TestOutageUnderLoad protects every request from Redis: killed, paused,
// restarted, full, or made a replica while thousands of tokens are minted,
// nobody is refused, the outage is told once with its cause, and sharing comes
// back by itself.
func TestOutageUnderLoad(t *testing.T) {
	for name, c := range map[string]struct {
		begin, end func(s *server)
		causes     []string
	}{
		"killed": {
			func(s *server) { s.kill() },
			func(s *server) { s.start() },
			[]string{"it closed the connection", "the connection broke", "it does not accept connections"},
		},
		"restarted": {
			func(s *server) { s.kill(); s.start() },
			func(*server) {},
			[]string{"it closed the connection", "the connection broke", "it does not accept connections", "it has lost its data"},
		},
		"paused": {
			func(s *server) { s.signal(syscall.SIGSTOP) },
			func(s *server) { s.signal(syscall.SIGCONT) },
			[]string{"it did not answer in time"},
		},
		"full": {
			func(s *server) { s.do("CONFIG", "SET", "maxmemory", "1mb") },
			func(s *server) { s.do("CONFIG", "SET", "maxmemory", "0") },
			[]string{"it is full; see its maxmemory"},
		},
		"replica": {
			func(s *server) { s.do("REPLICAOF", "127.0.0.1", "1") },
			func(s *server) { s.do("REPLICAOF", "NO", "ONE") },
			[]string{"it is a replica and takes no writes"},
		},
		"password": {
			func(s *server) {
				s.do("CONFIG", "SET", "requirepass", "secret")
				s.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			},
			func(s *server) { s.do("CONFIG", "SET", "requirepass", "") },
			[]string{"it wants a password", "it closed the connection", "the connection broke"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			_, a, b := pair(t, s, Options{Timeout: 400 * time.Millisecond})
			a.get(t, person("first"))
			b.get(t, person("first"))
			stop := load(t, a, b)
			c.begin(s)
			for _, m := range []*machine{a, b} {
				cause := m.change(t)
				known := false
				for _, want := range c.causes {
					known = known || cause == want
				}
				if !known {
					t.Errorf("cause %q", cause)
				}
			}
			c.end(s)
			for _, m := range []*machine{a, b} {
				for m.change(t) != "up" {
				}
			}
			stop()
			// It is shared again.
			until(t, 10*time.Second, "both are up", func() bool { return a.fleet.Up() && b.fleet.Up() })
			if a.get(t, person("last")) != b.get(t, person("last")) {
				t.Error("not shared afterwards")
			}
		})
	}
}

// TestOutageDuringMint protects the token that was minted while Redis went
// away: it is used.
func TestOutageDuringMint(t *testing.T) {
	s := serve(t)
	i, a, _ := pair(t, s, Options{Timeout: 300 * time.Millisecond})
	token, err := a.token(t.Context(), "key", func(context.Context) (*delegation.Token, error) {
		s.kill()
		return i.fresh(), nil
	})
	if err != nil || token.Access.Reveal() != "canary-token-1" {
		t.Errorf("got %v", err)
	}
}

// TestWaiterDuringOutage protects those who wait for another machine's mint
// when Redis goes away: they mint by themselves at once.
func TestWaiterDuringOutage(t *testing.T) {
	s := serve(t)
	i, a, b := pair(t, s, Options{Timeout: 300 * time.Millisecond})
	began, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = a.token(context.Background(), "key", func(context.Context) (*delegation.Token, error) {
			close(began)
			<-release
			return i.fresh(), nil
		})
	})
	<-began
	wg.Go(func() {
		if _, err := b.token(context.Background(), "key", func(context.Context) (*delegation.Token, error) { return i.fresh(), nil }); err != nil {
			t.Error(err)
		}
		close(release)
	})
	until(t, 5*time.Second, "b waits", func() bool { return b.fleet.waiting() == 1 })
	s.kill()
	wg.Wait()
}

// TestNeverThere protects the start: without Redis everything works, and one
// line says why it is not shared, however long that lasts.
func TestNeverThere(t *testing.T) {
	i := new(issuer)
	m := boot(t, i, Options{URL: fmt.Sprintf("redis://user:canary-password@127.0.0.1:%d", freePort(t)), Sealer: newKeyset(t)})
	m.get(t, person("alice"))
	if c := m.change(t); c != "it does not accept connections" {
		t.Errorf("cause %q", c)
	}
	if err := m.engine.Purge(t.Context(), alice); err == nil {
		t.Error("a purge that nobody else knows of is called complete")
	}
	select {
	case c := <-m.changes:
		t.Errorf("told again: %q", c)
	case <-time.After(2500 * time.Millisecond): // two more attempts
	}
	if st := m.member.Status(); st.Failures != 1 {
		t.Errorf("status %+v", st)
	}
}

// TestLateStart protects people whose tokens were minted before Redis was
// there: purges of that time count for them too.
func TestLateStart(t *testing.T) {
	s := serve(t)
	keys := newKeyset(t)
	i := new(issuer)
	way := relay(t, s)
	way.cut()
	a := boot(t, i, Options{URL: s.url(), Sealer: keys})
	b := boot(t, i, Options{URL: way.url(), Sealer: keys})
	a.get(t, person("bob"))
	b.get(t, person("alice"))
	b.change(t)
	a.purge(t, alice)
	way.mend(t)
	if c := b.change(t); c != "up" {
		t.Fatal(c)
	}
	b.wantDropped(t, alice)
}

// TestHookIsReplaceable protects a configuration that is gone from being
// called, and the fleet from a configuration without a hook.
func TestHookIsReplaceable(t *testing.T) {
	s := serve(t)
	_, a, _ := pair(t, s, Options{})
	a.get(t, person("alice"))
	a.fleet.OnChange(nil)
	s.kill()
	until(t, 5*time.Second, "it is down", func() bool { return !a.fleet.Up() })
	told := make(chan bool, 1)
	a.fleet.OnChange(func(up bool, _ string) { told <- up })
	s.start()
	if !<-told || len(a.changes) > 0 {
		t.Error("the wrong hook was called")
	}
}
