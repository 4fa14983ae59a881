// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

func cachedGrantOf(who delegation.Person, uid string) *cachedGrant {
	now := time.Now()
	return &cachedGrant{member: Member{UID: uid}, grant: &grants.Grant{Owner: grants.Owner{Person: who}}, readAt: now, refreshedAt: now}
}

// TestForgottenWhileRead protects somebody who has left from what was read of
// them a moment before: it is not kept.
func TestForgottenWhileRead(t *testing.T) {
	m := newGrantCache()
	alice, bob := delegation.Person{Realm: "r", Subject: "alice"}, delegation.Person{Realm: "r", Subject: "bob"}
	in := func(who delegation.Person) bool {
		_, ok := m.store.Get(who, cacheKey(who), time.Now())
		return ok
	}
	for what, forget := range map[string]func(){
		"left":      func() { m.drop(alice) },
		"purged":    func() { m.dropSelected(delegation.Selection{Realm: "r", Subject: "alice"}) },
		"by realm":  func() { m.dropSelected(delegation.Selection{Realm: "r"}) },
		"by member": func() { m.dropSelected(delegation.Selection{Participant: "1"}) },
		"everybody": func() { m.dropSelected(delegation.Selection{}) },
	} {
		m.putUnlessDropped(alice, cachedGrantOf(alice, "1"), m.dropCount(alice))
		if !in(alice) {
			t.Fatalf("%s: it is not kept at all", what)
		}
		since := m.dropCount(alice)
		forget()
		m.putUnlessDropped(alice, cachedGrantOf(alice, "1"), since)
		if in(alice) {
			t.Errorf("%s: what was read before is kept", what)
		}
	}
	m.putUnlessDropped(alice, cachedGrantOf(alice, "1"), m.dropCount(alice))
	m.putUnlessDropped(bob, cachedGrantOf(bob, "2"), m.dropCount(bob))
	m.dropSelected(delegation.Selection{Participant: "1"})
	if in(alice) || !in(bob) {
		t.Errorf("alice %t, bob %t", in(alice), in(bob))
	}
}

// TestKeptForAnHour protects from a grant that goes on for ever because it
// cannot be read again.
func TestKeptForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newGrantCache()
		alice := delegation.Person{Realm: "r", Subject: "alice"}
		h := cachedGrantOf(alice, "1")
		m.putUnlessDropped(alice, h, m.dropCount(alice))
		for range 130 { // each time it is to be read again, which fails
			time.Sleep(freshFor)
			if _, ok := m.store.Get(alice, cacheKey(alice), time.Now()); !ok {
				break
			}
			again := *h
			again.refreshedAt = time.Now()
			m.putUnlessDropped(alice, &again, m.dropCount(alice))
		}
		if _, ok := m.store.Get(alice, cacheKey(alice), time.Now()); ok || time.Since(h.readAt) > keptFor+freshFor {
			t.Errorf("%t after %s", ok, time.Since(h.readAt))
		}
	})
}
