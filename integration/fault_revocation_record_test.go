// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestA3a_OthersMayBeMany protects who has signed out from the volume of what
// others do: however many come after, a machine that starts knows.
func TestA3a_OthersMayBeMany(t *testing.T) {
	l, r, a, b := fleetOf(t)
	alice, bob := l.session("alice", ago(time.Minute)), l.session("bob", ago(time.Minute))
	for _, m := range []*machine{a, b} {
		m.want("before", alice, http.StatusOK)
	}
	a.signOut(alice)
	a.want("after", alice, http.StatusUnauthorized)
	b.ends("the other machine knows", alice)
	r.do("XTRIM", r.keys("purges")[0], "MAXLEN", "0") // as 100 000 others would do
	for _, m := range []*machine{a, b} {
		m.restart()
		m.want("after a restart", alice, http.StatusUnauthorized)
		m.want("somebody else", bob, http.StatusOK)
		m.want("signed in anew", l.session("alice", nil), http.StatusOK)
	}
	if keys := r.keys("revoked"); len(keys) != 1 {
		t.Errorf("%d records for one person", len(keys))
	} else if ttl := r.do("TTL", keys[0]); len(ttl) != 7 || ttl > "2592030" {
		t.Errorf("it is kept for %s s", ttl)
	}
}

// signOuts has a user sign out so often, with a fresh session each time.
func signOuts(t testing.TB, l *login, m *machine, n, atOnce int, user func(i int) string) {
	t.Helper()
	var wait sync.WaitGroup
	for worker := range atOnce {
		wait.Go(func() {
			for i := worker; i < n; i += atOnce {
				session := l.session(user(i), map[string]any{"n": i})
				// In a busy second, the session may be over already.
				if got := m.status(http.MethodPost, "/logout", session); got != http.StatusOK && got != http.StatusUnauthorized {
					t.Errorf("sign-out: %d", got)
					return
				}
			}
		})
	}
	wait.Wait()
}

func only(user string) func(int) string { return func(int) string { return user } }

// TestA3b_SignOutsOfOneUser protects everybody from one who signs out again and
// again while Redis is away: nobody else is signed out by it, on no machine.
func TestA3b_SignOutsOfOneUser(t *testing.T) {
	l, r, a, b := fleetOf(t)
	alice, bob := l.session("alice", ago(time.Minute)), l.session("bob", ago(time.Minute))
	a.want("alice before", alice, http.StatusOK)
	b.want("bob before", bob, http.StatusOK)
	b.want("alice there", alice, http.StatusOK)
	r.kill()
	eventually(t, "Redis is missed", func() bool { up, _ := a.admin.shared(); a.get(bob); return !up })
	signOuts(t, l, a, 10_500, 8, only("alice"))
	r.start()
	a.shares()
	b.shares()
	b.ends("alice is signed out there", alice)
	for _, m := range []*machine{a, b} {
		m.want("bob after", bob, http.StatusOK)
		m.restart()
		m.want("bob after a restart", bob, http.StatusOK)
		m.want("alice after a restart", alice, http.StatusUnauthorized)
	}
}

// TestA3c_WritesOfASignOut protects Redis from being told again what it knows:
// two writes for a sign-out at most, and fewer for who does it again and again.
func TestA3c_WritesOfASignOut(t *testing.T) {
	l, r, a, _ := fleetOf(t)
	signOuts(t, l, a, 20, 4, only("bob")) // connections are made
	r.do("CONFIG", "RESETSTAT")
	const people, times = 300, 10
	signOuts(t, l, a, people*times, 8, func(i int) string { return fmt.Sprint("user", i%people) })
	time.Sleep(2500 * time.Millisecond) // what is told by and by is told, and nothing again
	// The first five of each person have tokens dropped as well.
	if got, most := r.writes(), 2*people*times+2*5*people+people; got > most {
		t.Errorf("%d writes for %d sign-outs; want %d at most", got, people*times, most)
	}
	r.do("CONFIG", "RESETSTAT")
	signOuts(t, l, a, 3600, 8, only("alice"))
	time.Sleep(2500 * time.Millisecond)
	if got := r.writes(); got > 2*3600 {
		t.Errorf("%d writes for 3600 sign-outs of one user", got)
	}
}

// TestA3d_RoomOfASignOut protects memory: what one person's sign-outs take is
// bounded, here and in Redis.
func TestA3d_RoomOfASignOut(t *testing.T) {
	l, r, a, _ := fleetOf(t)
	signOuts(t, l, a, 2000, 8, only("alice"))
	time.Sleep(1500 * time.Millisecond)
	total := 0
	for key := range strings.FieldsSeq(r.do("KEYS", "delegate:*")) {
		var n int
		_, _ = fmt.Sscan(r.do("MEMORY", "USAGE", key), &n)
		total += n
	}
	if total > 150_000 {
		t.Errorf("2000 sign-outs of one user take %d bytes in Redis", total)
	}
	for _, key := range r.keys("revoked") {
		if n := len(strings.Fields(r.do("HKEYS", key))); n > 10 {
			t.Errorf("a record lists %d", n)
		}
	}
}
