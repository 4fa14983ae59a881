// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// pad makes a state as long as one is.
func pad(s string) string { return s + strings.Repeat("A", 26-len(s)) }

// TestOwnFlows protects a journey that somebody has come back from: no
// address that the browser is sent to, and nobody else who uses it, takes its place.
func TestOwnFlows(t *testing.T) {
	alice := delegation.Person{Realm: "r", Subject: "alice"}
	trail := &consentCookie{browserToken: "A"}
	trail.addOwn(alice, pad("ALICE"))
	if trail.markReturned(pad("OTHER")) || !trail.markReturned(pad("ALICE")) {
		t.Fatalf("%+v", trail.ownFlows)
	}
	for i := range 3 * maxOwnFlows {
		trail.addOwn(delegation.Person{Realm: "r", Subject: "user" + strconv.Itoa(i%5)}, pad("S"+strconv.Itoa(i)))
		trail.markReturned("S" + strconv.Itoa(i))
		trail.addPending("X" + strconv.Itoa(i))
	}
	if got := trail.returnedStates(alice); len(got) != 1 || got[0] != pad("ALICE") || len(trail.ownFlows) != maxOwnFlows {
		t.Errorf("%q of %d", got, len(trail.ownFlows))
	}
	for i := range 3 * maxOwnFlows { // tabs that nobody goes on with
		trail.addOwn(alice, pad("T"+strconv.Itoa(i)))
	}
	if got := trail.returnedStates(alice); len(got) != 1 || got[0] != pad("ALICE") {
		t.Errorf("%q", got)
	}
	if again, _ := parseOwnFlows(strings.TrimPrefix(formatOwnFlows(trail.ownFlows), "~")); formatOwnFlows(again) != formatOwnFlows(trail.ownFlows) {
		t.Errorf("%s became %s", formatOwnFlows(trail.ownFlows), formatOwnFlows(again))
	}
	if trail.removeState(pad("ALICE")); len(trail.returnedStates(alice)) > 0 {
		t.Error("it is over, and still there")
	}
}

// FuzzConsentCookie protects the server from what a client makes of its cookie: what is
// kept of it is bounded, and is written as it was read.
func FuzzConsentCookie(f *testing.F) {
	for _, seed := range []string{"", "A", "A.B.C", "A~AAAAABBBBBBBB", "A.B~AAAAABBBBBBBB.AAAAABACK", "~", "A~.", "A~~", strings.Repeat("A.", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		first, _ := changedCookie(nil, cookie)
		if len(first.pendingStates) > maxPendingStates || len(first.ownFlows) > maxOwnFlows || len(formatOwnFlows(first.ownFlows)) > maxOwnFlows*65 {
			t.Fatalf("%q: %+v", cookie, first)
		}
		written := strings.Join(append([]string{first.browserToken}, first.pendingStates...), ".") + formatOwnFlows(first.ownFlows)
		again, _ := changedCookie(nil, written)
		if formatOwnFlows(again.ownFlows) != formatOwnFlows(first.ownFlows) || again.browserToken != first.browserToken || strings.Join(again.pendingStates, ".") != strings.Join(first.pendingStates, ".") {
			t.Fatalf("%q was read as %+v, and that as %+v", cookie, first, again)
		}
	})
}
