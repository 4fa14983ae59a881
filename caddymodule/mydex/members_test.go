// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

func heldBy(who delegation.Person, uid string) *held {
	now := time.Now()
	return &held{member: Member{UID: uid}, grant: &grants.Grant{Owner: grants.Owner{Person: who}}, read: now, asked: now}
}

// TestForgottenWhileRead protects somebody who has left from what was read of
// them a moment before: it is not kept.
func TestForgottenWhileRead(t *testing.T) {
	m := newMembers()
	alice, bob := delegation.Person{Realm: "r", Subject: "alice"}, delegation.Person{Realm: "r", Subject: "bob"}
	in := func(who delegation.Person) bool {
		_, ok := m.store.Get(who, memberKey(who), time.Now())
		return ok
	}
	for what, forget := range map[string]func(){
		"left":      func() { m.drop(alice) },
		"purged":    func() { m.forget(delegation.Selection{Realm: "r", Subject: "alice"}) },
		"by realm":  func() { m.forget(delegation.Selection{Realm: "r"}) },
		"by member": func() { m.forget(delegation.Selection{Participant: "1"}) },
		"everybody": func() { m.forget(delegation.Selection{}) },
	} {
		m.keep(alice, heldBy(alice, "1"), m.dropped(alice))
		if !in(alice) {
			t.Fatalf("%s: it is not kept at all", what)
		}
		since := m.dropped(alice)
		forget()
		m.keep(alice, heldBy(alice, "1"), since)
		if in(alice) {
			t.Errorf("%s: what was read before is kept", what)
		}
	}
	m.keep(alice, heldBy(alice, "1"), m.dropped(alice))
	m.keep(bob, heldBy(bob, "2"), m.dropped(bob))
	m.forget(delegation.Selection{Participant: "1"})
	if in(alice) || !in(bob) {
		t.Errorf("alice %t, bob %t", in(alice), in(bob))
	}
}

// TestKeptForAnHour protects from a grant that goes on for ever because it
// cannot be read again.
func TestKeptForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMembers()
		alice := delegation.Person{Realm: "r", Subject: "alice"}
		h := heldBy(alice, "1")
		m.keep(alice, h, m.dropped(alice))
		for range 130 { // each time it is to be read again, which fails
			time.Sleep(freshFor)
			if _, ok := m.store.Get(alice, memberKey(alice), time.Now()); !ok {
				break
			}
			again := *h
			again.asked = time.Now()
			m.keep(alice, &again, m.dropped(alice))
		}
		if _, ok := m.store.Get(alice, memberKey(alice), time.Now()); ok || time.Since(h.read) > keptFor+freshFor {
			t.Errorf("%t after %s", ok, time.Since(h.read))
		}
	})
}
