// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strconv"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestWaits protects the server from one user's pages, and from everybody's,
// that wait for a journey to end: there is a bound, and who leaves makes room.
func TestWaits(t *testing.T) {
	var w waits
	alice, bob := delegation.Person{Subject: "alice"}, delegation.Person{Subject: "bob"}
	for range maxWaitsOfOne {
		if !w.enter(alice) {
			t.Fatal("too few may wait")
		}
	}
	if w.enter(alice) || !w.enter(bob) {
		t.Error("alice may wait more often, or bob may not")
	}
	w.leave(alice)
	if !w.enter(alice) {
		t.Error("who left has made no room")
	}
	n := maxWaitsOfOne + 1
	for ; n < maxWaits+10 && w.enter(delegation.Person{Subject: strconv.Itoa(n)}); n++ {
	}
	if n != maxWaits {
		t.Errorf("%d may wait", n)
	}
	w.leave(bob)
	if _, there := w.people[bob]; there {
		t.Error("bob is remembered")
	}
}
