// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// pad makes a state as long as one is.
func pad(s string) string { return s + strings.Repeat("A", stateLen-len(s)) }

// TestOwnFlows protects a flow that somebody has come back from: no address that
// the browser is sent to, and nobody else who uses it, takes its place.
func TestOwnFlows(t *testing.T) {
	alice := delegation.Person{Realm: "r", Subject: "alice"}
	c := &Cookie{BrowserToken: "A"}
	c.AddOwn(alice, pad("ALICE"))
	if c.MarkReturned(pad("OTHER")) || !c.MarkReturned(pad("ALICE")) {
		t.Fatalf("%+v", c.ownFlows)
	}
	for i := range 3 * maxOwnFlows {
		c.AddOwn(delegation.Person{Realm: "r", Subject: "user" + strconv.Itoa(i%5)}, pad("S"+strconv.Itoa(i)))
		c.MarkReturned("S" + strconv.Itoa(i))
		c.AddPending("X" + strconv.Itoa(i))
	}
	if got := c.returnedStates(alice); len(got) != 1 || got[0] != pad("ALICE") || len(c.ownFlows) != maxOwnFlows {
		t.Errorf("%q of %d", got, len(c.ownFlows))
	}
	for i := range 3 * maxOwnFlows { // tabs that nobody goes on with
		c.AddOwn(alice, pad("T"+strconv.Itoa(i)))
	}
	if got := c.returnedStates(alice); len(got) != 1 || got[0] != pad("ALICE") {
		t.Errorf("%q", got)
	}
	if again, _ := parseOwnFlows(strings.TrimPrefix(formatOwnFlows(c.ownFlows), "~")); formatOwnFlows(again) != formatOwnFlows(c.ownFlows) {
		t.Errorf("%s became %s", formatOwnFlows(c.ownFlows), formatOwnFlows(again))
	}
	if c.Remove(pad("ALICE")); len(c.returnedStates(alice)) > 0 {
		t.Error("it is over, and still there")
	}
}
