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

// TestTrailOfOnesOwn protects a journey that somebody has come back from: no
// address that the browser is sent to, and nobody else who uses it, takes its place.
func TestTrailOfOnesOwn(t *testing.T) {
	alice := delegation.Person{Realm: "r", Subject: "alice"}
	trail := &trail{browser: "A"}
	trail.setOut(alice, pad("ALICE"))
	if trail.cameBack(pad("OTHER")) || !trail.cameBack(pad("ALICE")) {
		t.Fatalf("%+v", trail.own)
	}
	for i := range 3 * maxOwn {
		trail.setOut(delegation.Person{Realm: "r", Subject: "user" + strconv.Itoa(i%5)}, pad("S"+strconv.Itoa(i)))
		trail.cameBack("S" + strconv.Itoa(i))
		trail.add("X" + strconv.Itoa(i))
	}
	if got := trail.ownBacks(alice); len(got) != 1 || got[0] != pad("ALICE") || len(trail.own) != maxOwn {
		t.Errorf("%q of %d", got, len(trail.own))
	}
	for i := range 3 * maxOwn { // tabs that nobody goes on with
		trail.setOut(alice, pad("T"+strconv.Itoa(i)))
	}
	if got := trail.ownBacks(alice); len(got) != 1 || got[0] != pad("ALICE") {
		t.Errorf("%q", got)
	}
	if again, _ := parseOwn(strings.TrimPrefix(formatOwn(trail.own), "~")); formatOwn(again) != formatOwn(trail.own) {
		t.Errorf("%s became %s", formatOwn(trail.own), formatOwn(again))
	}
	if trail.drop(pad("ALICE")); len(trail.ownBacks(alice)) > 0 {
		t.Error("it is over, and still there")
	}
}

// FuzzTrail protects the server from what a client makes of its cookie: what is
// kept of it is bounded, and is written as it was read.
func FuzzTrail(f *testing.F) {
	for _, seed := range []string{"", "A", "A.B.C", "A~AAAAABBBBBBBB", "A.B~AAAAABBBBBBBB.AAAAABACK", "~", "A~.", "A~~", strings.Repeat("A.", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		first, _ := trailOf(nil, cookie)
		if len(first.backs) > maxBacks || len(first.own) > maxOwn || len(formatOwn(first.own)) > maxOwn*65 {
			t.Fatalf("%q: %+v", cookie, first)
		}
		written := strings.Join(append([]string{first.browser}, first.backs...), ".") + formatOwn(first.own)
		again, _ := trailOf(nil, written)
		if formatOwn(again.own) != formatOwn(first.own) || again.browser != first.browser || strings.Join(again.backs, ".") != strings.Join(first.backs, ".") {
			t.Fatalf("%q was read as %+v, and that as %+v", cookie, first, again)
		}
	})
}
