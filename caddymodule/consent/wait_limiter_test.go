// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"strconv"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestWaitLimiter protects the server from one user's pages, and from everybody's,
// that wait for a consent flow to end: there is a bound, and a request that ends makes room.
func TestWaitLimiter(t *testing.T) {
	var l WaitLimiter
	alice, bob := delegation.Person{Subject: "alice"}, delegation.Person{Subject: "bob"}
	for range maxWaitsPerPerson {
		if !l.Acquire(alice) {
			t.Fatal("too few may wait")
		}
	}
	if l.Acquire(alice) || !l.Acquire(bob) {
		t.Error("alice may wait more often, or bob may not")
	}
	l.Release(alice)
	if !l.Acquire(alice) {
		t.Error("who left has made no room")
	}
	n := maxWaitsPerPerson + 1
	for ; n < maxWaits+10 && l.Acquire(delegation.Person{Subject: strconv.Itoa(n)}); n++ {
	}
	if n != maxWaits {
		t.Errorf("%d may wait", n)
	}
	l.Release(bob)
	if _, there := l.perPerson[bob]; there {
		t.Error("bob is remembered")
	}
}
