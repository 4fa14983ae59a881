// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var testAlice = delegation.Person{Realm: testIssuer, Subject: "alice"}

// TestRevocationsMerge protects what one machine tells another: whatever the
// order and however often, all end with the same.
func TestRevocationsMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		name := PersonTarget(testAlice)
		one := func(id string, issued time.Duration) Revocation {
			return Revocation{RevocationTarget: name, Sessions: []RevokedSession{{ID: id, At: now, IssuedBefore: now.Add(issued), Expires: now.Add(time.Hour)}}}
		}
		all := []Revocation{
			{RevocationTarget: name, At: now.Add(-time.Second)},
			{RevocationTarget: name, At: now},
			{RevocationTarget: name, NoSessionID: now},
			one("covered", -time.Minute), one("covered too", 0), one("later", time.Second), one("later still", 2*time.Second),
		}
		for turn := range all {
			r := NewRevocations()
			for i := range 2 * len(all) {
				if more := r.Merge(all[(turn+i)%len(all)]); len(more) != 0 {
					t.Errorf("more is told: %v", more)
				}
			}
			got, ok := r.Get(name)
			if !ok || !got.At.Equal(now) || !got.NoSessionID.Equal(now) || len(got.Sessions) != 2 {
				t.Errorf("turn %d: %+v", turn, got)
			}
			again := NewRevocations()
			for _, part := range got.Parts() {
				again.Merge(part)
			}
			if other, _ := again.Get(name); fmt.Sprint(other.At, other.NoSessionID, len(other.Sessions)) != fmt.Sprint(got.At, got.NoSessionID, len(got.Sessions)) {
				t.Errorf("its parts are %+v, it is %+v", other, got)
			}
		}
		// A clock that is an hour ahead keeps nobody out for an hour.
		r := NewRevocations()
		r.Merge(Revocation{RevocationTarget: name, At: now.Add(time.Hour)})
		if r.Revoked(&Session{Realm: testIssuer, Subject: "alice", IssuedBefore: now.Add(2 * time.Minute)}) {
			t.Error("another machine's clock counts for more than it may")
		}
	})
}

// TestRevocationsAreBounded protects memory from one person's sign-outs, and
// the person from being revived or shut out by it: of too many sessions they
// are covered by the moment, which moves no further than it has to.
func TestRevocationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, token := cached(t, time.Hour)
		r := c.revocations
		var ended []string
		for n := range 100 {
			text := token(map[string]any{"n": n})
			s, err := c.Verify(t.Context(), bearer(text))
			if err == nil { // a busy second may be over
				signOut(r, s)
			}
			ended = append(ended, text)
		}
		if got, _ := r.Get(PersonTarget(testAlice)); len(got.Sessions) > maxRevokedSessions || got.At.After(endOfSecond(time.Now())) {
			t.Errorf("%+v", got)
		}
		if n := len(r.records); n != 1 {
			t.Errorf("%d records", n)
		}
		for n, text := range ended {
			if _, err := c.Verify(t.Context(), bearer(text)); err == nil {
				t.Errorf("session %d is revived", n)
			}
		}
		if _, err := c.Verify(t.Context(), bearer(token(map[string]any{"sub": "bob"}))); err != nil {
			t.Error("somebody else is signed out")
		}
		time.Sleep(time.Second)
		if _, err := c.Verify(t.Context(), bearer(token(nil))); err != nil {
			t.Error("signed in anew a second later, and refused")
		}
	})
}

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

// TestSessionIDOfSeveral protects the users of a browser whose issuer gives all
// of them the same `sid`: a logout by that name alone ends the session of each.
func TestSessionIDOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, token := cached(t, time.Hour)
		alice, bob := token(map[string]any{"sid": "shared"}), token(map[string]any{"sid": "shared", "sub": "bob"})
		carol := token(map[string]any{"sid": "hers", "sub": "carol"})
		all := []string{alice, bob, carol}
		for _, text := range all {
			if _, err := c.Verify(t.Context(), bearer(text)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		if _, err := c.revocations.RevokeSession(testIssuer, "", "shared", time.Now()); err != nil {
			t.Fatal(err)
		}
		for i, text := range all {
			if _, err := c.Verify(t.Context(), bearer(text)); (err == nil) != (text == carol) {
				t.Errorf("session %d: %v", i, err)
			}
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

// TestSessionIDsOfNobody protects from a flood of logouts that name a session
// nobody has seen: none is dropped, nobody else is signed out, and what there is
// no room for is refused. One that was seen is its user's.
func TestSessionIDsOfNobody(t *testing.T) {
	r := NewRevocations()
	for n := range maxUnownedSessions {
		if _, err := r.RevokeSession(testIssuer, "", fmt.Sprint(n), time.Now()); err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := r.RevokeSession(testIssuer, "", "more", time.Now()); err == nil {
		t.Error("there is room for ever")
	}
	at := time.Now().Add(-time.Minute)
	for id, want := range map[string]bool{"0": true, fmt.Sprint(maxUnownedSessions - 1): true, "more": false, "": false} {
		if got := r.Revoked(&Session{Realm: testIssuer, Subject: "alice", ID: id, IssuedBefore: at}); got != want {
			t.Errorf("session %q: revoked %t", id, got)
		}
	}
	if names, err := r.RevokeSession(testIssuer, "", "more", time.Now()); err != nil || len(names) != 1 || names[0] != PersonTarget(testAlice) {
		t.Errorf("one that was seen: %v, %v", names, err)
	}
	if r.Revoked(&Session{Realm: testIssuer, Subject: "alice", ID: "another", IssuedBefore: at}) || !r.Revoked(&Session{Realm: testIssuer, Subject: "alice", ID: "more", IssuedBefore: at}) {
		t.Error("not just that one is revoked")
	}
}

// TestForget protects the answer to a purge: it counts the sessions that were
// good, by each name that they are used by, and each once.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, token := cached(t, time.Hour)
		patient := delegation.Person{Realm: "patients", Subject: "alice"}
		see := func() {
			for n := range 3 {
				s, err := c.Verify(t.Context(), bearer(token(map[string]any{"n": n})))
				if err != nil || c.revocations.RevokedAs(s, patient) {
					t.Fatal(err)
				}
			}
		}
		see()
		if n, others := c.revocations.ForgetSessions(delegation.Person{Realm: "patient", Subject: "alice"}); n != 0 || others != nil {
			t.Errorf("%d of nobody, %v", n, others)
		}
		if n, others := c.revocations.ForgetSessions(patient); n != 3 || len(others) != 1 || others[0] != testAlice {
			t.Errorf("%d, also known as %v", n, others)
		}
		see()
		c.revocations.Revoke(testAlice)
		if n, _ := c.revocations.ForgetSessions(testAlice); n != 0 {
			t.Errorf("%d that were over already", n)
		}
		if n := c.sessions.Len(); n != 0 {
			t.Errorf("%d are kept", n)
		}
	})
}

// TestAskedAgainElsewhere protects who signs in anew with a session of the same
// value: what another machine tells counts for what was asked before it came.
func TestAskedAgainElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{body: aliceIsIn}
		r := NewRevocations()
		c := NewCache(asking(j), r, time.Hour)
		s := expect(t, c, j, askedCredential, "", 1)
		time.Sleep(time.Second)
		// Its clock is behind: by ours the question came later.
		r.Merge(Revocation{RevocationTarget: PersonTarget(s.person(s.Realm)), At: time.Now().Add(-20 * time.Second)})
		time.Sleep(time.Millisecond)
		expect(t, c, j, askedCredential, "", 2)
		expect(t, c, j, askedCredential, "", 2)
	})
}
