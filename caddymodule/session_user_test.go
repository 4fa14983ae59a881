// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// TestRevokedSessionIsAskedAboutAgain protects who signs in anew with a session of the
// same value, where a directive names its users by a realm of its own: what is remembered
// of the session from before the logout must not have them refused for as long as it is.
func TestRevokedSessionIsAskedAboutAgain(t *testing.T) {
	var calls atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"sub":"alice"}`))
	}))
	t.Cleanup(app.Close)
	revocations := session.NewRevocations()
	verifier := session.NewCache(&session.Endpoint{URL: app.URL, Cookie: "session", Realm: "app", Client: app.Client()}, revocations, time.Hour)
	credential := session.Credential{Text: "0123456789abcdef", Source: session.InCookie}
	verify := func() *signedInUser {
		found, err := verifier.Verify(t.Context(), credential)
		if err != nil {
			t.Fatal(err)
		}
		return &signedInUser{session: found, credential: credential, verifier: verifier, revocations: revocations, realm: "app"}
	}
	kiosk := delegation.Person{Realm: "kiosk", Subject: "alice"}
	verify()
	time.Sleep(time.Millisecond)
	revocations.Revoke(kiosk)
	time.Sleep(time.Millisecond) // alice signs in anew
	if err := verify().checkNotRevoked(t.Context(), kiosk); err != nil {
		t.Errorf("signed in anew, and refused: %v", err)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("the app was asked %d times", n)
	}
	if err := verify().checkNotRevoked(t.Context(), kiosk); err != nil || calls.Load() != 2 {
		t.Errorf("%v after %d calls: the new answer is not remembered", err, calls.Load())
	}
}
