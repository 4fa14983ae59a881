// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestSignOutsByTheMillion protects everybody from the volume of what few do:
// ten users sign out again and again on two machines, nobody else's session
// changes, also after a restart, and nothing grows. SIGN_OUTS=1000000 has it do
// as many; the usual run is shorter.
func TestSignOutsByTheMillion(t *testing.T) {
	total := 10_000
	if text := os.Getenv("SIGN_OUTS"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	l, r, a, b := fleetOf(t)
	machines := []*machine{a, b}
	bob := l.session("bob", ago(time.Minute))
	old := make([]string, 10)
	for i := range old {
		old[i] = l.session(fmt.Sprint("user", i), ago(time.Minute))
	}
	run := func(n int, user string) {
		var wait sync.WaitGroup
		for k, m := range machines {
			for worker := range 4 {
				wait.Go(func() {
					for i := worker; i < n/2; i += 4 {
						session := l.session(fmt.Sprint(user, i%10), map[string]any{"n": 2*i + k, "exp": time.Now().Add(time.Minute).Unix()})
						if got := m.status(http.MethodPost, "/bye", session); got != http.StatusOK {
							t.Errorf("sign-out: %d", got)
							return
						}
					}
				})
			}
		}
		wait.Wait()
	}
	number := func(text string) (n int) { _, _ = fmt.Sscan(text, &n); return n }
	heaps := func() [2]int64 { return [2]int64{a.heap(), b.heap()} }
	for _, m := range machines {
		m.want("bob", bob, http.StatusOK)
	}
	run(2000, "another") // connections, buffers, and what is made once
	time.Sleep(2 * time.Second)
	size, before := number(r.do("DBSIZE")), heaps()
	r.do("CONFIG", "RESETSTAT")
	began := time.Now()
	run(total, "user")
	took := time.Since(began)
	time.Sleep(2 * time.Second)
	writes, after := r.writes(), heaps()
	grown := number(r.do("DBSIZE")) - size
	t.Logf("%d sign-outs in %s: %.2f writes each, %d keys more, heaps %+d and %+d bytes", total, took.Round(time.Second), float64(writes)/float64(total), grown, after[0]-before[0], after[1]-before[1])
	if writes > 2*total {
		t.Errorf("%d writes for %d sign-outs", writes, total)
	}
	if grown > 1000 {
		t.Errorf("%d keys more in Redis", grown)
	}
	for i := range machines {
		if more := after[i] - before[i]; more > 1<<20 {
			t.Errorf("machine %d has grown by %d bytes", i, more)
		}
	}
	for _, again := range []bool{false, true} {
		for _, m := range machines {
			if again {
				m.restart()
			}
			m.want("bob", bob, http.StatusOK)
			for i := range old {
				m.want(fmt.Sprintf("user%d", i), old[i], http.StatusUnauthorized)
			}
		}
	}
}
