// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
)

// TestA6_LeaseOfNobody protects everybody from a lease that stays in Redis:
// one without an end, one that is longer than ours are, and one that somebody
// renews for good. The issuer is well, so that every request is served.
func TestA6_LeaseOfNobody(t *testing.T) {
	for name, c := range map[string]struct {
		lease []string
		most  time.Duration
	}{
		"without an end": {nil, 3 * time.Second},
		"of an hour":     {[]string{"PX", "3600000"}, 3 * time.Second},
		"renewed":        {[]string{"PX", "4000"}, 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRedis(t)
			l, s := newLogin(t), newStack(t)
			_, lines := sharingLines(t, s, r)
			caddyfile := administered(l.caddyfile(lines))
			a := newMachine(t, s, caddyfile)
			a.shares()
			alice := l.session("alice", nil)
			// Where the leases are.
			release := hold(t, s, "token")
			done := make(chan int)
			go func() { done <- a.get(alice) }()
			var leases []string
			eventually(t, "it mints", func() bool { leases = append(leases, r.keys("lease")...); return len(leases) > 1 })
			release()
			if got := <-done; got != http.StatusOK {
				t.Fatal(got)
			}
			slices.Sort(leases)
			r.do("DEL", append(r.keys("token"), "none")[0])
			for _, key := range r.keys("token") {
				r.do("DEL", key)
			}
			set := func() {
				for _, lease := range slices.Compact(leases) {
					r.do(append([]string{"SET", lease, "x"}, c.lease...)...)
				}
			}
			set()
			if name == "renewed" {
				stop, ended := make(chan struct{}), make(chan struct{})
				defer func() { close(stop); <-ended }()
				go func() {
					defer close(ended)
					for tick := time.NewTicker(time.Second); ; {
						select {
						case <-tick.C:
							set()
						case <-stop:
							return
						}
					}
				}()
			}
			b := newMachine(t, s, caddyfile)
			b.shares()
			began := time.Now()
			b.want("with a lease of nobody", alice, http.StatusOK)
			if took := time.Since(began); took > c.most {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestA6a_EntriesOfTheFuture protects sign-outs from what stands in the stream:
// an entry with an ID of the future, and that the stream begins anew after it.
func TestA6a_EntriesOfTheFuture(t *testing.T) {
	for name, c := range map[string]struct {
		id   string
		drop bool
	}{
		"and stays":         {fmt.Sprint(time.Now().Add(time.Hour).UnixMilli(), "-0"), false},
		"and is gone":       {fmt.Sprint(time.Now().Add(time.Hour).UnixMilli(), "-0"), true},
		"soon, and is gone": {fmt.Sprint(time.Now().Add(50*time.Second).UnixMilli(), "-0"), true},
		"the last there is": {"18446744073709551615-18446744073709551615", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, r, a, b := fleetOf(t)
			alice, bob := l.session("alice", ago(time.Minute)), l.session("bob", ago(time.Minute))
			for _, m := range []*machine{a, b} {
				m.want("alice", alice, http.StatusOK)
				m.want("bob", bob, http.StatusOK)
			}
			a.signOut(bob)
			b.ends("bob is out", bob)
			stream := r.keys("purges")[0]
			r.do("XADD", stream, c.id, "by", "x", "purge", "y")
			eventually(t, "it is read", func() bool {
				return strings.Contains(r.do("CLIENT", "LIST"), "cmd=xread") && len(r.keys("purges")) > 0
			})
			if c.drop {
				time.Sleep(300 * time.Millisecond) // until it was read
				r.do("DEL", stream)
			}
			a.signOut(alice)
			b.ends("alice is out there", alice)
			for _, m := range []*machine{a, b} {
				m.shares()
				m.want("bob stays out", bob, http.StatusUnauthorized)
			}
			// Tokens are purged there as well, again and again.
			for n := range 3 {
				eventually(t, "a purge is complete", func() bool {
					return a.admin.send(http.MethodPost, "/delegate/purge", `{}`).StatusCode == http.StatusOK
				})
				_ = n
			}
		})
	}
}

// TestA6a_AnOlderCopy protects sign-outs from a Redis that takes over without
// the latest: a machine misses its own, and tells again what it knows.
func TestA6a_AnOlderCopy(t *testing.T) {
	l, r, a, b := fleetOf(t)
	alice, bob := l.session("alice", ago(time.Minute)), l.session("bob", ago(time.Minute))
	for _, m := range []*machine{a, b} {
		m.want("alice", alice, http.StatusOK)
		m.want("bob", bob, http.StatusOK)
	}
	a.signOut(alice)
	b.ends("alice is out", alice)
	stream := r.keys("purges")[0]
	r.do("COPY", stream, "older")
	a.signOut(bob)
	b.ends("bob is out", bob)
	for _, key := range r.keys("revoked") {
		r.do("DEL", key)
	}
	r.do("RENAME", "older", stream)
	eventually(t, "it is told again", func() bool { return len(r.keys("revoked")) == 2 })
	b.restart()
	b.want("alice", alice, http.StatusUnauthorized)
	b.want("bob", bob, http.StatusUnauthorized)
	b.want("bob, signed in anew", l.session("bob", nil), http.StatusOK)
}

// TestR7_RefusedLoad protects operators: after a configuration that was refused
// the log of the one that stays tells of Redis.
func TestR7_RefusedLoad(t *testing.T) {
	s, r := newStack(t), newRedis(t)
	_, caddyfile := sharing(t, s, r)
	logging := func(name string) (string, string) {
		file := filepath.Join(s.Dir, name)
		return strings.Replace(caddyfile, "default_bind", "log {\n\t\toutput file "+file+"\n\t}\n\tdefault_bind", 1), file
	}
	stays, file := logging("stays.log")
	load(t, s, stays)
	eventually(t, "Redis is in use", func() bool { up, _ := newAdmin(t, s).shared(); return up })
	busy, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", busy)}
	go func() { _ = server.ListenAndServe() }()
	t.Cleanup(func() { _ = server.Close() })
	eventually(t, "the port is taken", func() bool {
		_, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d", busy))
		return err == nil
	})
	refused, _ := logging("refused.log")
	refused += fmt.Sprintf("\nhttp://127.0.0.1:%d {\n\trespond ok\n}\n", busy)
	for range 10 { // Caddy starts apps in any order
		if err := s.Load(refused); err == nil {
			t.Fatal("it was loaded")
		}
	}
	r.kill()
	u := signIn(t, s, "alice")
	eventually(t, "the log tells of it", func() bool {
		u.get(participantPath)
		text, _ := os.ReadFile(file)
		return strings.Contains(string(text), "the shared cache cannot be used")
	})
}
