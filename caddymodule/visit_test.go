// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strconv"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestWaitLimiter protects the server from one user's pages, and from everybody's,
// that wait for a journey to end: there is a bound, and who leaves makes room.
func TestWaitLimiter(t *testing.T) {
	var w waitLimiter
	alice, bob := delegation.Person{Subject: "alice"}, delegation.Person{Subject: "bob"}
	for range maxStatusWaitsPerPerson {
		if !w.acquire(alice) {
			t.Fatal("too few may wait")
		}
	}
	if w.acquire(alice) || !w.acquire(bob) {
		t.Error("alice may wait more often, or bob may not")
	}
	w.release(alice)
	if !w.acquire(alice) {
		t.Error("who left has made no room")
	}
	n := maxStatusWaitsPerPerson + 1
	for ; n < maxStatusWaits+10 && w.acquire(delegation.Person{Subject: strconv.Itoa(n)}); n++ {
	}
	if n != maxStatusWaits {
		t.Errorf("%d may wait", n)
	}
	w.release(bob)
	if _, there := w.perPerson[bob]; there {
		t.Error("bob is remembered")
	}
}
