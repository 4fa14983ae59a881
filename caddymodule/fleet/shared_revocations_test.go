// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// revoker is a machine's revocations with their way to the others.
type revoker struct {
	*session.Revocations
	sessions *SharedRevocations
	fleet    *Fleet
}

func newRevoker(t testing.TB, s *server, keys Sealer) *revoker {
	t.Helper()
	return newRevokerOf(t, Options{URL: s.url(), Sealer: keys})
}

func newRevokerOf(t testing.TB, o Options) *revoker {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	f, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &revoker{session.NewRevocations(), nil, f}
	r.sessions = f.JoinRevocations(r.Revocations)
	f.Start()
	t.Cleanup(func() { r.sessions.Leave(); _ = f.Close() })
	until(t, 10*time.Second, "it is connected", f.Up)
	return r
}

func (r *revoker) revoke(t testing.TB, who delegation.Person) {
	t.Helper()
	if err := r.sessions.Publish(t.Context(), r.Revoke(who)...); err != nil {
		t.Fatal(err)
	}
}

// is tells whether a session of somebody from before a moment is revoked.
func (r *revoker) is(who delegation.Person, at time.Time) bool {
	return r.Revoked(&session.Session{Realm: who.Realm, Subject: who.Subject, IssuedBefore: at})
}

// TestRecords protects what is revoked: the later moment counts whichever
// machine writes last, names of all kinds are kept apart, and a machine that
// begins knows all of it without the stream.
func TestRecords(t *testing.T) {
	s := serve(t)
	keys := newKeyset(t)
	a, b := newRevoker(t, s, keys), newRevoker(t, s, keys)
	people := []delegation.Person{
		{Realm: "r", Subject: "alice"},
		{Realm: "r\x00a", Subject: "lice"},
		{Realm: "r", Subject: "a\x00lice"},
		{Realm: `r"`, Subject: `'{}:*?[`},
		{Realm: strings.Repeat("r", 5000), Subject: strings.Repeat("ä", 5000)},
		{Realm: "https://login.example.org", Subject: "alice@example.org"},
	}
	before := time.Now()
	for _, who := range people {
		a.revoke(t, who)
		if b.is(delegation.Person{Realm: who.Realm, Subject: who.Subject + "x"}, before) {
			t.Errorf("somebody else than %.30q is revoked", who)
		}
	}
	for _, who := range people {
		until(t, 5*time.Second, "the other machine knows", func() bool { return b.is(who, before) })
	}
	// An older moment, written late.
	alice := people[0]
	time.Sleep(5 * time.Millisecond)
	between := time.Now()
	a.revoke(t, alice)
	old := session.NewRevocations()
	old.Merge(session.Revocation{RevocationTarget: session.PersonTarget(alice), At: before})
	late := &revoker{Revocations: old, fleet: b.fleet}
	late.sessions = b.fleet.JoinRevocations(old)
	if err := late.sessions.Publish(t.Context(), session.PersonTarget(alice)); err != nil {
		t.Fatal(err)
	}
	late.sessions.Leave()
	if n := len(s.keys("revoked")); n != len(people) {
		t.Errorf("%d records for %d people", n, len(people))
	}
	s.do("DEL", s.keys("purges")[0])
	c := newRevoker(t, s, keys)
	for _, who := range people {
		if !c.is(who, before) {
			t.Errorf("a machine that begins does not know of %.30q", who)
		}
	}
	if !c.is(alice, between) || c.is(alice, time.Now()) {
		t.Error("the later moment does not count")
	}
	for _, key := range s.keys("*") {
		if strings.Contains(key, "alice") || strings.Contains(s.do("OBJECT", "ENCODING", key), "alice") {
			t.Errorf("%s names somebody", key)
		}
	}
}

// TestRecordsAreBounded protects Redis from one who signs out again and again:
// single sessions are few, and of too many they are covered by the moment.
func TestRecordsAreBounded(t *testing.T) {
	s := serve(t)
	keys := newKeyset(t)
	a, b := newRevoker(t, s, keys), newRevoker(t, s, keys)
	alice := delegation.Person{Realm: "r", Subject: "alice"}
	for n := range 50 {
		for _, m := range []*revoker{a, b} {
			names, err := m.RevokeSession("r", "alice", fmt.Sprint(m.fleet.machine, n), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if err := m.sessions.Publish(t.Context(), names...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(strings.Fields(s.do("HKEYS", s.keys("revoked")[0]))); n > maxSessionsListed+2 {
		t.Errorf("%d parts", n)
	}
	c := newRevoker(t, s, keys)
	for n := range 50 {
		for _, m := range []*revoker{a, b} {
			if !c.Revoked(&session.Session{Realm: "r", Subject: "alice", ID: fmt.Sprint(m.fleet.machine, n), IssuedBefore: time.Now().Add(-time.Second)}) {
				t.Errorf("session %d is revived", n)
			}
		}
	}
	if c.is(alice, time.Now().Add(3*time.Second)) || c.is(delegation.Person{Realm: "r", Subject: "bob"}, time.Now().Add(-time.Hour)) {
		t.Error("others are revoked as well")
	}
}

// TestEarlierVersionsStream protects who signed out before an upgrade: what the
// stream alone has gets a record.
func TestEarlierVersionsStream(t *testing.T) {
	s := serve(t)
	keys := newKeyset(t)
	old, err := Open(Options{URL: s.url(), Sealer: keys, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	member := old.Join(sessionNamespace, func(delegation.Selection, time.Time) {})
	before := time.Now()
	for _, what := range []delegation.Selection{{Realm: "r", Subject: "alice"}, {Realm: "r", Participant: "sid s1"}, {Participant: "digest 00ff"}} {
		if err := member.Purge(t.Context(), what); err != nil {
			t.Fatal(err)
		}
	}
	a := newRevoker(t, s, keys)
	until(t, 5*time.Second, "there are records", func() bool { return len(s.keys("revoked")) == 3 })
	s.do("DEL", s.keys("purges")[0])
	for _, m := range []*revoker{a, newRevoker(t, s, keys)} {
		if !m.is(delegation.Person{Realm: "r", Subject: "alice"}, before) ||
			!m.Revoked(&session.Session{Realm: "r", Subject: "bob", ID: "s1", IssuedBefore: before}) {
			t.Error("it is not known")
		}
	}
}

// TestMachines protects operators: how many other machines are told.
func TestMachines(t *testing.T) {
	s := serve(t)
	keys := newKeyset(t)
	a := newRevoker(t, s, keys)
	if n := a.fleet.OtherMachines(t.Context()); n != 0 {
		t.Errorf("%d others", n)
	}
	b, _ := newRevoker(t, s, keys), newRevoker(t, s, keys)
	if n := a.fleet.OtherMachines(t.Context()); n != 2 {
		t.Errorf("%d others, want 2", n)
	}
	_ = b.fleet.Close()
	if n := a.fleet.OtherMachines(t.Context()); n != 1 {
		t.Errorf("%d others, want 1", n)
	}
}

// TestIDs protects the order of the stream.
func TestIDs(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1-0", "1-1", true},
		{"9-0", "10-0", true},
		{"1-1", "1-0", false},
		{"1-0", "1-0", false},
		{"", "0-1", true},
		{"5-0", "18446744073709551615-18446744073709551615", true},
		{"garbage", "1-0", true},
	} {
		if got := idBefore(c.a, c.b); got != c.want {
			t.Errorf("%q before %q: %t", c.a, c.b, got)
		}
	}
}

// TestOlderCopy protects who signed out long before Redis falls back to a copy
// from before that, at a crash or a failover: the machines know of it, and
// write it again.
func TestOlderCopy(t *testing.T) {
	bob, alice := delegation.Person{Realm: "r", Subject: "bob"}, delegation.Person{Realm: "r", Subject: "alice"}
	for name, fallBack := range map[string]func(*server, []string){
		"a crash": func(s *server, _ []string) {
			s.kill()
			if !s.start() {
				t.Error("redis does not start")
			}
		},
		"a failover": func(s *server, later []string) {
			// What the copy lacks.
			last := strings.Fields(strings.Trim(s.do("XREVRANGE", s.keys("purges")[0], "+", "-", "COUNT", "1"), "["))[0]
			s.do("XDEL", s.keys("purges")[0], last)
			for _, key := range later {
				s.do("DEL", key)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			keys := newKeyset(t)
			a, b := newRevoker(t, s, keys), newRevoker(t, s, keys)
			first := time.Now()
			a.revoke(t, bob)
			before := s.keys("revoked")
			s.do("SAVE")
			at := time.Now()
			a.revoke(t, alice)
			until(t, 10*time.Second, "the other machine knows", func() bool { return b.is(alice, at) })
			later := slices.DeleteFunc(s.keys("revoked"), func(key string) bool { return slices.Contains(before, key) })
			for _, m := range []*revoker{a, b} { // it was long ago
				until(t, 10*time.Second, "all is read", func() bool {
					o := &m.fleet.stream.echoes
					o.mu.Lock()
					defer o.mu.Unlock()
					o.lastWrite = o.lastWrite.Add(-time.Hour)
					return o.waitingSince.IsZero()
				})
			}
			fallBack(s, later)
			until(t, 20*time.Second, "it is written again", func() bool { return len(s.keys("revoked")) == 2 })
			if c := newRevoker(t, s, keys); !c.is(alice, at) || !c.is(bob, first) {
				t.Error("a machine that begins does not know")
			}
		})
	}
}
