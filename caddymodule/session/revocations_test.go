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
		j := &fakeServer{body: aliceIsIn}
		r := NewRevocations()
		c := NewCache(newTestVerifier(j), r, time.Hour)
		s := expect(t, c, j, askedCredential, "", 1)
		time.Sleep(time.Second)
		// Its clock is behind: by ours the question came later.
		r.Merge(Revocation{RevocationTarget: PersonTarget(s.person(s.Realm)), At: time.Now().Add(-20 * time.Second)})
		time.Sleep(time.Millisecond)
		expect(t, c, j, askedCredential, "", 2)
		expect(t, c, j, askedCredential, "", 2)
	})
}
