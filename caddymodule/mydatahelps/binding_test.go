// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The first binding holds, both ways, through logout and the end of every
// cache: participants can write their own custom fields.
func TestPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(3)...)
		p, h := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-0", guid(0), "")

		// Participant 1 takes the value of participant 0, who loses it.
		pf.change(func() { pf.people[0].field, pf.people[1].field = "", "planted-0" })
		who := request("planted-0").Person
		for range 2 {
			h.purge(t, who.Subject)
			time.Sleep(25 * time.Hour)
			_, _ = authorizeAs(t, p, "planted-x") // has the list read again
			synctest.Wait()
			wantParticipant(t, p, "planted-0", "", delegation.AccountConflict)
		}
		if h.logs.FilterMessageSnippet("pin").Len() == 0 {
			t.Error("the operator was not told")
		}

		// Another user of the app claims the participant of a first one.
		pf.change(func() { pf.people[2].field = "planted-2" })
		wantParticipant(t, p, "planted-2", guid(2), "")
		pf.change(func() { pf.people[2].field = "planted-thief" })
		time.Sleep(6 * time.Minute)
		_, _ = authorizeAs(t, p, "planted-y")
		synctest.Wait()
		time.Sleep(31 * time.Second)
		wantParticipant(t, p, "planted-thief", "", delegation.AccountConflict)

		// The operator has made sure who is who.
		p.Release(who)
		h.purge(t, who.Subject)
		wantParticipant(t, p, "planted-0", guid(1), "")
		p.Release(request("planted-2").Person)
		h.purge(t, "planted-2")
		time.Sleep(31 * time.Second)
		wantParticipant(t, p, "planted-thief", guid(2), "")
	})
}

// One subject in two realms is two people, and a GUID's case makes no other
// participant.
func TestPinsCompare(t *testing.T) {
	p := newLocalBindings()
	a, b := delegation.Person{Realm: "a", Subject: "s"}, delegation.Person{Realm: "b", Subject: "s"}
	for i, step := range []struct {
		who  delegation.Person
		id   string
		want bool
	}{
		{a, "AB", true}, {a, "ab", true}, {b, "aB", false}, {b, "cd", true}, {a, "cd", false}, {b, "ab", false},
	} {
		if p.bind(step.who, step.id) != step.want {
			t.Errorf("step %d", i)
		}
	}
	p.release(delegation.Person{Realm: "c"})
	p.release(a)
	if !p.bind(delegation.Person{Realm: "c"}, "ab") || p.bind(b, "ab") {
		t.Error("after the release")
	}
}
