// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// TestLogoutThatCannotBeTold protects users from an app's logout that says that
// they are signed out where nothing was ended: it could not be told whether they
// are signed in, by the name that the directive knows them by.
func TestLogoutThatCannotBeTold(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"sub":"alice"}`))
	}))
	verifier := &session.Endpoint{URL: app.URL, Cookie: "session", Realm: "app", Client: app.Client()}
	credential := session.Credential{Text: "0123456789abcdef", Source: session.InCookie}
	found, err := verifier.Verify(t.Context(), credential)
	app.Close() // it is away from now on
	if err != nil {
		t.Fatal(err)
	}
	origins, _ := policy.NewOrigins(nil)
	l := &Logout{Directive: Directive{SubjectSettings: SubjectSettings{Realm: "kiosk"}}}
	if err := l.attach(&App{origins: origins, revocations: session.NewRevocations(), logoutLimiter: newPersonLimiter(), realmNames: new(realmNames)}, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	l.app.revocations.Revoke(delegation.Person{Realm: "kiosk", Subject: "alice"})
	in := &signedInUser{session: found, credential: credential, verifier: verifier, revocations: l.app.revocations, realm: "app"}
	repl := caddy.NewReplacer()
	in.setPlaceholders(repl, nil)
	r := httptest.NewRequest(http.MethodPost, "/logout", nil)
	ctx := context.WithValue(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl), signedInUserKey{}, in)
	w := httptest.NewRecorder()
	if err := l.ServeHTTP(w, r.WithContext(ctx), caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		t.Error("the app's logout ran")
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", w.Code)
	}
}
