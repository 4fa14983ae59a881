// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestA8_Early protects who signs out, or is signed out, where the issuer's
// clock is ahead: what was seen before is over, by whichever name it was used,
// and what comes after is not. Another machine is told of it.
func TestA8_Early(t *testing.T) {
	patient := delegation.Person{Realm: "patients", Subject: "A-1"}
	for name, revoke := range map[string]func(r *Revocations, who delegation.Person) []RevocationTarget{
		"here": func(r *Revocations, who delegation.Person) []RevocationTarget { return r.Revoke(who) },
		"told": func(r *Revocations, who delegation.Person) []RevocationTarget {
			return r.Merge(Revocation{RevocationTarget: PersonTarget(who), At: time.Now()})
		},
	} {
		for _, who := range []delegation.Person{testAlice, patient, {}} {
			t.Run(fmt.Sprint(name, who), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, _, token := cached(t, time.Hour)
					ahead := func(change map[string]any) string {
						change["iat"] = time.Now().Add(20 * time.Second).Unix()
						return token(change)
					}
					before := ahead(map[string]any{"x": 1})
					s, err := c.Verify(t.Context(), bearer(before))
					if err != nil || c.revocations.RevokedAs(s, patient) {
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond)
					told := revoke(c.revocations, who)
					if len(told) == 0 {
						t.Error("nobody is told")
					}
					time.Sleep(time.Millisecond)
					if s, err := c.Verify(t.Context(), bearer(before)); err == nil && !c.revocations.RevokedAs(s, patient) {
						t.Error("it goes on")
					}
					if _, err := c.Verify(t.Context(), bearer(ahead(map[string]any{"x": 2}))); err != nil {
						t.Error("signed in anew, and refused")
					}
					// Another machine, and one that begins.
					other := NewCache(c.verifier, NewRevocations(), time.Hour)
					for _, what := range told {
						rec, _ := c.revocations.Get(what)
						other.revocations.Merge(rec)
					}
					s, err = other.Verify(t.Context(), bearer(before))
					if err == nil && !other.revocations.RevokedAs(s, patient) {
						t.Error("it goes on elsewhere")
					}
				})
			})
		}
	}
}

// TestEarlyUntilHeard protects who signs out on another machine while this one
// cannot hear of it: what was seen here before is over as soon as it does,
// however long that takes, and however many others sign in meanwhile.
func TestEarlyUntilHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, token := cached(t, time.Hour)
		heard := time.Now()
		defer c.revocations.FollowClock(func() (time.Duration, bool) { return 0, false }, func() time.Time { return heard })()
		early := token(map[string]any{"iat": time.Now().Add(20 * time.Second).Unix(), "exp": time.Now().Add(time.Hour).Unix()})
		if _, err := c.Verify(t.Context(), bearer(early)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		signedOut := time.Now()
		others := func() {
			for n := range 20 {
				time.Sleep(time.Minute)
				if _, err := c.Verify(t.Context(), bearer(token(map[string]any{"sub": fmt.Sprint("user", n)}))); err != nil {
					t.Fatal(err)
				}
			}
		}
		others()
		c.revocations.Merge(Revocation{RevocationTarget: PersonTarget(testAlice), At: signedOut})
		if _, err := c.Verify(t.Context(), bearer(early)); err == nil {
			t.Error("it goes on")
		}
		heard = time.Now()
		others()
		if _, ok := c.revocations.early.byTarget[PersonTarget(testAlice)]; ok {
			t.Error("it is remembered for ever")
		}
	})
}

// TestEarlyNamelessAmongNamed protects a back-channel logout that names a session
// and its user: those without a name end, however many with one were seen first.
func TestEarlyNamelessAmongNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, token := cached(t, time.Hour)
		at := time.Now().Add(15 * time.Second).Unix()
		for n := range maxEarly {
			if _, err := c.Verify(t.Context(), bearer(token(map[string]any{"iat": at, "sid": fmt.Sprint(n)}))); err != nil {
				t.Fatal(err)
			}
		}
		nameless := token(map[string]any{"iat": at})
		if _, err := c.Verify(t.Context(), bearer(nameless)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := c.revocations.RevokeSession(testIssuer, "alice", "other", time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Verify(t.Context(), bearer(nameless)); err == nil {
			t.Error("it goes on")
		}
	})
}

// TestEarlyIsBounded protects the sign-out of one who has very many sessions
// that say they are from the future.
func TestEarlyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, token := cached(t, time.Hour)
		var all []string
		for n := range 3 * maxEarly {
			text := token(map[string]any{"n": n, "iat": time.Now().Add(time.Duration(n) * time.Second).Unix()})
			if _, err := c.Verify(t.Context(), bearer(text)); err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		c.revocations.Revoke(testAlice)
		for n, text := range all {
			if _, err := c.Verify(t.Context(), bearer(text)); err == nil {
				t.Errorf("session %d goes on", n)
			}
		}
		time.Sleep(time.Minute)
		if _, err := c.Verify(t.Context(), bearer(token(nil))); err != nil {
			t.Error("signed in anew, and refused")
		}
		time.Sleep(time.Hour)
		if _, err := c.Verify(t.Context(), bearer(token(map[string]any{"sub": "bob"}))); err != nil || len(c.revocations.early.byTarget) > 1 {
			t.Errorf("%d people are remembered", len(c.revocations.early.byTarget))
		}
	})
}
