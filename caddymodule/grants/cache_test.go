// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func cachedGrantOf(who delegation.Person, account string) *cachedGrant {
	now := time.Now()
	return &cachedGrant{grant: &delegation.Grant{Person: who, Account: account}, readAt: now, refreshedAt: now}
}

// TestForgottenWhileRead protects somebody who has left from what was read of
// them a moment before: it is not kept.
func TestForgottenWhileRead(t *testing.T) {
	c := NewCache()
	alice, bob := delegation.Person{Realm: "r", Subject: "alice"}, delegation.Person{Realm: "r", Subject: "bob"}
	in := func(who delegation.Person) bool {
		_, ok := c.get(who)
		return ok
	}
	for what, forget := range map[string]func(){
		"left":       func() { c.drop(alice) },
		"purged":     func() { c.dropSelected(delegation.Selection{Realm: "r", Subject: "alice"}) },
		"by realm":   func() { c.dropSelected(delegation.Selection{Realm: "r"}) },
		"by account": func() { c.dropSelected(delegation.Selection{Participant: "1"}) },
		"everybody":  func() { c.dropSelected(delegation.Selection{}) },
	} {
		c.putUnlessDropped(alice, cachedGrantOf(alice, "1"), c.dropCount(alice))
		if !in(alice) {
			t.Fatalf("%s: it is not kept at all", what)
		}
		since := c.dropCount(alice)
		forget()
		c.putUnlessDropped(alice, cachedGrantOf(alice, "1"), since)
		if in(alice) {
			t.Errorf("%s: what was read before is kept", what)
		}
	}
	c.putUnlessDropped(alice, cachedGrantOf(alice, "1"), c.dropCount(alice))
	c.putUnlessDropped(bob, cachedGrantOf(bob, "2"), c.dropCount(bob))
	if n := c.count(delegation.Selection{Participant: "1"}); n != 1 {
		t.Errorf("%d grants have the account 1", n)
	}
	c.dropSelected(delegation.Selection{Participant: "1"})
	if in(alice) || !in(bob) {
		t.Errorf("alice %t, bob %t", in(alice), in(bob))
	}
}

// TestKeptForAnHour protects from a grant that goes on for ever because it
// cannot be read again.
func TestKeptForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		alice := delegation.Person{Realm: "r", Subject: "alice"}
		h := cachedGrantOf(alice, "1")
		c.putUnlessDropped(alice, h, c.dropCount(alice))
		for range 130 { // each time it is to be read again, which fails
			time.Sleep(freshFor)
			if _, ok := c.get(alice); !ok {
				break
			}
			again := *h
			again.refreshedAt = time.Now()
			c.putUnlessDropped(alice, &again, c.dropCount(alice))
		}
		if _, ok := c.get(alice); ok || time.Since(h.readAt) > keptFor+freshFor {
			t.Errorf("%t after %s", ok, time.Since(h.readAt))
		}
	})
}

// TestSlowReading protects a grant in memory from one that was read before it, and
// took longer: its credential is spent.
func TestSlowReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache()
		alice := delegation.Person{Realm: "r", Subject: "alice"}
		slow := cachedGrantOf(alice, "old")
		time.Sleep(time.Second)
		c.putUnlessDropped(alice, cachedGrantOf(alice, "new"), c.dropCount(alice))
		c.putUnlessDropped(alice, slow, c.dropCount(alice))
		if kept, ok := c.get(alice); !ok || kept.grant.Account != "new" {
			t.Errorf("%t, %+v", ok, kept)
		}
	})
}

// TestCacheKey protects two people whose realm and subject are one text when they
// are put together, with whatever character between them.
func TestCacheKey(t *testing.T) {
	one := delegation.Person{Realm: "a\x00b", Subject: "c"}
	other := delegation.Person{Realm: "a", Subject: "b\x00c"}
	if cacheKey(one) == cacheKey(other) {
		t.Error("two people have one key")
	}
}

// TestSuspensionPace protects everybody from a platform that for a moment refuses
// everybody, and a person who is refused again from being counted twice.
func TestSuspensionPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &NewCache().pace
		may := func(name string) bool { return p.maySuspend(delegation.Person{Realm: "r", Subject: name}) }
		for _, name := range []string{"a", "b", "a", "b", "c", "a"} {
			if !may(name) {
				t.Errorf("%s is not among the first three", name)
			}
		}
		if may("d") {
			t.Error("a fourth at once")
		}
		time.Sleep(suspendEvery)
		if !may("d") || may("e") {
			t.Error("after 20 s it is not one")
		}
	})
}
