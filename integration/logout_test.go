// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestLogout protects who has signed out: their sessions let nobody in any
// more, on any device, and their tokens are gone. Others notice nothing.
func TestLogout(t *testing.T) {
	l := newLogin(t)
	s := start(t, l.caddyfile(""))
	u := signIn(t, s, "alice")
	get := func(session string) answer {
		return u.do(u.with(http.MethodGet, participantPath, "Cookie", "__Host-session="+session))
	}
	before := map[string]any{"iat": time.Now().Add(-time.Minute).Unix()}
	phone, laptop, bob := l.session("alice", before), l.session("alice", map[string]any{"iat": before["iat"], "x": 1}), l.session("bob", before)
	for _, session := range []string{phone, laptop, bob} {
		get(session).want(t, http.StatusOK, "")
	}
	logout := func(headers ...string) answer { return u.do(u.with(http.MethodPost, "/logout", headers...)) }
	logout("Cookie", "__Host-session="+phone, "Sec-Fetch-Site", "cross-site").want(t, http.StatusForbidden, "cross_origin")
	get(phone).want(t, http.StatusOK, "")
	if a := logout("Cookie", "__Host-session="+phone); a.StatusCode != http.StatusOK || a.body != "signed out" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for _, session := range []string{phone, laptop} {
		get(session).want(t, http.StatusUnauthorized, "session_required")
	}
	get(bob).want(t, http.StatusOK, "")
	if got := s.Platform.Counts(); got.ParticipantTokens != 2 {
		t.Fatalf("%+v", got)
	}
	get(l.session("alice", nil)).want(t, http.StatusOK, "") // at once
	if got := s.Platform.Counts(); got.ParticipantTokens != 3 {
		t.Errorf("the old token was kept: %+v", got)
	}
	// Their app's own logout still runs, where app_session is optional.
	if a := u.do(u.with(http.MethodPost, "/bye", "Cookie", "__Host-session="+laptop)); a.StatusCode != http.StatusOK || !strings.HasPrefix(a.body, "nobody is in") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	u.do(u.with(http.MethodGet, "/maybe/api/v1/delegated/participant", "Cookie", "__Host-session="+laptop)).want(t, http.StatusUnauthorized, "session_required")

	// No reload signs anybody in again.
	load(t, s, "{"+stack.Options+"}\nhttp://127.0.0.1:[[.Port]] {\n\trespond ok\n}\n")
	load(t, s, l.caddyfile("\n\t\ttrusted_origins https://app.example.org"))
	get(laptop).want(t, http.StatusUnauthorized, "session_required")
}

// TestLogoutOfOtherSessions protects users of an app whose own server tells
// who is signed in: their tokens are dropped as well.
func TestLogoutOfOtherSessions(t *testing.T) {
	s := start(t, proxied("", `
	handle /logout {`+stack.SignIn+`
		delegate_logout {
			subject {rp.header.Remote-User}
		}
		reverse_proxy [[.AppAddr]]
	}
	handle /bye {
		delegate_logout
		respond "nobody was signed in"
	}`))
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	u.do(u.request(http.MethodPost, "/logout", nil)).want(t, http.StatusNoContent, "")
	u.get(participantPath) // the app's own 401
	u.session = s.App.SignIn("alice", time.Time{})
	u.get(participantPath).want(t, http.StatusOK, "")
	if got := s.Platform.Counts(); got.ParticipantTokens != 2 {
		t.Errorf("%+v", got)
	}
	if a := u.do(u.with(http.MethodPost, "/bye")); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// logoutToken tells that the issuer has signed somebody out.
func (l *login) logoutToken(change map[string]any) string {
	l.t.Helper()
	claims := map[string]any{
		"iss": l.URL, "aud": "app", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	maps.Copy(claims, change)
	return l.sign(claims)
}

// TestBackchannelLogout protects users who have signed out at their issuer, by
// another app: it tells, and their sessions here end.
func TestBackchannelLogout(t *testing.T) {
	l := newLogin(t)
	s := start(t, l.caddyfile(""))
	u := signIn(t, s, "alice")
	get := func(session string) answer {
		return u.do(u.with(http.MethodGet, participantPath, "Cookie", "__Host-session="+session))
	}
	of := func(user, id string) string {
		return l.session(user, map[string]any{"iat": time.Now().Add(-time.Minute).Unix(), "sid": id})
	}
	phone, laptop, bob := of("alice", "phone"), of("alice", "laptop"), of("bob", "bob")
	for _, session := range []string{phone, laptop, bob} {
		get(session).want(t, http.StatusOK, "")
	}
	tell := func(token string) answer {
		req := u.request(http.MethodPost, "/backchannel", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Del("Cookie")
		return u.do(req)
	}
	logout := l.logoutToken
	for _, bad := range []string{"", "garbage", phone, logout(nil), logout(map[string]any{"sub": "alice", "nonce": "n"})} {
		if a := tell(bad); a.StatusCode != http.StatusBadRequest || a.body != `{"error":"invalid_request"}` {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	u.do(u.with(http.MethodGet, "/backchannel?logout_token="+logout(map[string]any{"sub": "alice"}))).want(t, http.StatusMethodNotAllowed, "method_not_allowed")
	get(phone).want(t, http.StatusOK, "")

	if a := tell(logout(map[string]any{"sid": "phone"})); a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	get(phone).want(t, http.StatusUnauthorized, "session_required")
	get(laptop).want(t, http.StatusOK, "")
	nameless := l.session("bob", map[string]any{"iat": time.Now().Add(-time.Minute).Unix()})
	get(nameless).want(t, http.StatusOK, "")
	tell(logout(map[string]any{"sub": "bob", "sid": "another"})).want(t, http.StatusOK, "")
	get(nameless).want(t, http.StatusUnauthorized, "session_required") // it may be that one
	tell(logout(map[string]any{"sub": "alice"})).want(t, http.StatusOK, "")
	get(laptop).want(t, http.StatusUnauthorized, "session_required")
	get(bob).want(t, http.StatusOK, "")
	get(l.session("alice", nil)).want(t, http.StatusOK, "")
	if got := s.Platform.Counts(); got.ParticipantTokens != 4 {
		t.Errorf("the old tokens were kept: %+v", got)
	}
}

// TestLogoutThatBreaksOff protects who has signed out of an app whose answer
// did not arrive: it may have signed them out all the same, and whoever asked
// it meanwhile heard that they are signed in.
func TestLogoutThatBreaksOff(t *testing.T) {
	var in atomic.Bool
	in.Store(true)
	var u *user
	s := newStack(t)
	get := func() answer { return u.get(participantPath) }
	s.App.Handle("/api/me", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !in.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"sub":"alice"}`))
	}))
	s.App.Handle("/break", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		get().want(t, http.StatusOK, "") // before the app's own logout
		in.Store(false)
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
		panic(http.ErrAbortHandler)
	}))
	session := `
		app_session {
			cookie ` + stack.CookieName + `
			session_endpoint http://[[.AppAddr]]/api/me {
				cache 10m
			}
		}`
	load(t, s, caddyfileOf("", `
	handle_path /mdh/* {`+session+`
		delegate_proxy mydatahelps
	}
	handle /break {`+session+`
		delegate_logout
		reverse_proxy [[.AppAddr]]
	}`))
	u = signIn(t, s, "alice")
	get().want(t, http.StatusOK, "")
	_, _ = u.try(u.request(http.MethodPost, "/break", nil))
	get().want(t, http.StatusUnauthorized, "session_required")
}

// TestLogoutInALoop protects the platform's quota, which is everybody's, from
// one who signs out of an app again and again that does not end the session.
func TestLogoutInALoop(t *testing.T) {
	s := start(t, proxied("", `
	handle /logout {`+stack.SignIn+`
		delegate_logout {
			subject {rp.header.Remote-User}
		}
		respond ok
	}`))
	u := signIn(t, s, "alice")
	began := time.Now()
	for range 100 {
		u.get(participantPath).want(t, http.StatusOK, "")
		u.get("/logout").want(t, http.StatusOK, "")
	}
	most := 6 + int(time.Since(began)/(10*time.Second))
	if got := s.Platform.Counts(); got.ParticipantTokens > most || got.Admin > most {
		t.Errorf("%+v", got)
	}
}
