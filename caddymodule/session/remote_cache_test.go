// SPDX-License-Identifier: Apache-2.0

package session

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestAskedSessionsRemembered protects who is asked from each request, for as
// long as a session is remembered and no longer than it says it lives.
func TestAskedSessionsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &fakeServer{body: aliceIsIn}
		c := NewCache(newTestVerifier(j), NewRevocations(), time.Minute)
		for range 3 {
			expect(t, c, j, askedCredential, "", 1)
		}
		time.Sleep(time.Minute + 1)
		expect(t, c, j, askedCredential, "", 2)
		j.respond(0, `{"active":true,"sub":"alice","exp":`+itoa(time.Now().Unix()+10)+`}`)
		expect(t, c, j, "short", "", 3)
		time.Sleep(10*time.Second + leeway)
		expect(t, c, j, "short", required, 4)
		// While nobody can be asked, who is remembered is let in and no one else.
		j.respond(503, "")
		expect(t, c, j, askedCredential, "", 4)
		expect(t, c, j, "another", unknowable, 5)
	})
}

// TestAskedLogout protects who has signed out: what was asked before counts no
// more, whether it was remembered or under way. Who is asked afterwards knows
// of the logout, and is believed: of another device, or of somebody who has
// signed in anew with a session of the same name.
func TestAskedLogout(t *testing.T) {
	for _, body := range []string{aliceIsIn, `{"active":true,"sub":"alice","sid":"s1"}`} {
		synctest.Test(t, func(t *testing.T) {
			j := &fakeServer{body: body}
			e := NewRevocations()
			c := NewCache(newTestVerifier(j), e, time.Hour)

			// Remembered.
			s := expect(t, c, j, askedCredential, "", 1)
			expect(t, c, j, "another-device", "", 2)
			signOut(e, s)
			expect(t, c, j, askedCredential, required, 3) // asked at the very moment of the logout
			time.Sleep(time.Millisecond)
			expect(t, c, j, "another-device", "", 4)
			expect(t, c, j, "another-device", "", 4)
			expect(t, c, j, askedCredential, "", 5)
			j.respond(0, `{"active":false}`)
			time.Sleep(time.Millisecond)
			signOut(e, s)
			time.Sleep(time.Millisecond)
			expect(t, c, j, askedCredential, required, 6)
			expect(t, c, j, askedCredential, required, 6)

			// Under way.
			time.Sleep(refusedLife + 1)
			j.respond(0, body)
			j.delay = time.Second
			var all sync.WaitGroup
			all.Go(func() { expect(t, c, j, askedCredential, required, -1) })
			time.Sleep(500 * time.Millisecond)
			signOut(e, s)
			time.Sleep(100 * time.Millisecond)
			// This one is from after the logout, and joins the question from before.
			all.Go(func() { expect(t, c, j, askedCredential, "", 8) })
			all.Wait()
			expect(t, c, j, askedCredential, "", 8)
		})
	}
}

// TestAskedEndedWhileAway protects from remembering a session that was ended
// while its app could not be asked again.
func TestAskedEndedWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &fakeServer{body: aliceIsIn}
		e := NewRevocations()
		c := NewCache(newTestVerifier(j), e, time.Hour)
		s := expect(t, c, j, askedCredential, "", 1)
		signOut(e, s)
		j.respond(503, "")
		expect(t, c, j, askedCredential, unknowable, 2)
	})
}

// TestAskedLogoutThere protects who has signed out at the app: whoever joins
// the question from before gets the answer to the next one, whatever it is.
func TestAskedLogoutThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &fakeServer{body: aliceIsIn}
		e := NewRevocations()
		c := NewCache(newTestVerifier(j), e, time.Hour)
		s := expect(t, c, j, askedCredential, "", 1)
		signOut(e, s)
		time.Sleep(time.Millisecond)
		j.delay = time.Second
		var all sync.WaitGroup
		all.Go(func() { expect(t, c, j, askedCredential, required, -1) })
		time.Sleep(time.Millisecond)
		j.respond(0, `{"active":false}`)
		signOut(e, s)
		time.Sleep(time.Millisecond)
		all.Go(func() { expect(t, c, j, askedCredential, required, 3) })
		all.Wait()
	})
}

// TestSignedOnce protects from verifying again what is signed and was ended:
// it says the same for ever.
func TestSignedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, v, token := cached(t, time.Hour)
		text := token(nil)
		s, err := c.Verify(t.Context(), bearer(text))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		signOut(c.revocations, s)
		s, err = c.Verify(t.Context(), bearer(text))
		if code := codeOf(t, s, err); code != delegation.SessionRequired || v.calls != 2 {
			t.Errorf("%q after %d calls", code, v.calls)
		}
	})
}
