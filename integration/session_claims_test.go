// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const ownSecret = "a-secret-of-the-app-alone-0123456789"

// own are the claims of an app that signs its sessions itself.
func own(user any) map[string]any {
	return map[string]any{"user_id": user, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
}

// TestC2_TheAppsOwnKey protects apps that sign sessions with a key of their own,
// which say who it is in a claim of their own, and nothing of issuer and
// audience: who has one is served as themselves, numbers to the last digit, until
// they sign out. What has no user is package session's to refuse (TestOwnKey).
func TestC2_TheAppsOwnKey(t *testing.T) {
	large := simulator.Participant{ID: "cccccccc-3333-4333-8333-333333333333", Identifier: "9007199254740993"}
	near := simulator.Participant{ID: "dddddddd-4444-4444-8444-444444444444", Identifier: "9007199254740992"}
	s := start(t, sessionSite("hmac_secret "+ownSecret+"\nsubject_claim user_id\nrealm "+newRealm()), stack.Alice, large, near)
	u := signIn(t, s, "alice")
	token := func(claims map[string]any) string { return signed(t, jose.HS256, []byte(ownSecret), "", claims) }
	for id, user := range map[string]any{
		stack.Alice.ID: "alice", large.ID: int64(9007199254740993), near.ID: "9007199254740992",
	} {
		a := u.as(http.MethodGet, participantPath, token(own(user)))
		a.want(t, http.StatusOK, "")
		if !strings.Contains(a.body, id) {
			t.Errorf("%v is %s", user, a.body)
		}
	}
	u.as(http.MethodGet, "/who", signed(t, jose.HS256, []byte(ownSecret+"!"), "", own("alice"))).want(t, http.StatusUnauthorized, "session_required")

	// Who signs out is signed out.
	session := token(own("alice"))
	u.as(http.MethodPost, "/logout", session).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/who", session).want(t, http.StatusUnauthorized, "session_required")
	u.as(http.MethodGet, "/who", token(own(int64(9007199254740993)))).want(t, http.StatusOK, "")
}

// TestC2_AKeyForMoreIsTold protects operators whose key signs other things than
// sessions too: without an audience each of them is a session, which is told.
func TestC2_AKeyForMoreIsTold(t *testing.T) {
	c, file := logged(t, sessionSite("hmac_secret "+ownSecret+"\nsubject_claim user_id\nrealm "+newRealm()))
	start(t, c)
	found, _ := lines(t, file, "app_session has no audience: every token that this key has signed lets its user in, whatever it was issued for; sign nothing else with it")
	if len(found) == 0 || found[0]["level"] != "warn" {
		t.Errorf("%v", found)
	}
}

// TestC2_TwoNamesOfOneUser protects users from one another where two app_session
// name them by different claims: the same name may be two people.
func TestC2_TwoNamesOfOneUser(t *testing.T) {
	l := newLogin(t)
	site := func(realms ...string) string {
		keys := "jwks " + l.URL + "/jwks\nissuer " + l.URL + "\naudience app\n"
		return `{` + stack.Options + `
	delegate {` + stack.Provider + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /by-sub/* {
		app_session {
			bearer
			` + keys + realms[0] + `
		}
		delegate_logout /logout
		respond "{http.auth.user.id}"
	}
	handle_path /by-number/* {
		app_session {
			bearer
			subject_claim number
			` + keys + realms[1] + `
		}
		delegate_logout /logout
		respond "{http.auth.user.id}"
	}
	handle /backchannel {
		delegate_logout {
			backchannel {
				` + keys + `
			}
		}
	}
}
`
	}
	numbers, all := newRealm(), newRealm()
	s := newStack(t)
	if err := s.Load(site("", "")); err == nil || !strings.Contains(err.Error(), "two app_session name users in different ways and would share the realm "+l.URL) {
		t.Fatal(err)
	}
	for name, realms := range map[string][]string{"one of its own": {"", "realm " + numbers}, "said to be the same": {"realm " + all, "realm " + all}} {
		if err := s.Restart(site(realms...)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := s.Restart(site("", "realm "+numbers)); err != nil {
		t.Fatal(err)
	}
	u := signIn(t, s, "alice")
	// 7 is the number of alice and the sub of bob.
	alice := l.session("alice", map[string]any{"number": 7, "iat": time.Now().Add(-time.Minute).Unix()})
	bob := l.session("7", map[string]any{"number": 8, "iat": time.Now().Add(-time.Minute).Unix()})
	u.as(http.MethodGet, "/by-number/", alice).want(t, http.StatusOK, "")
	u.as(http.MethodPost, "/by-number/logout", alice).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/by-number/", alice).want(t, http.StatusUnauthorized, "session_required")
	u.as(http.MethodGet, "/by-sub/", alice).want(t, http.StatusUnauthorized, "session_required") // the same person, by the other name
	u.as(http.MethodGet, "/by-sub/", bob).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/by-number/", bob).want(t, http.StatusOK, "")

	// The issuer tells of a logout by sub, whatever claim is the subject here.
	carol := l.session("carol", map[string]any{"number": 9, "iat": time.Now().Add(-time.Minute).Unix()})
	u.as(http.MethodGet, "/by-number/", carol).want(t, http.StatusOK, "")
	form := u.request(http.MethodPost, "/backchannel", strings.NewReader("logout_token="+l.sign(map[string]any{
		"iss": l.URL, "aud": "app", "sub": "carol", "jti": "1", "iat": time.Now().Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})))
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	u.do(form).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/by-number/", carol).want(t, http.StatusUnauthorized, "session_required")
	u.as(http.MethodGet, "/by-number/", bob).want(t, http.StatusOK, "")
}

// TestC2b_TimeOfIssue protects who has signed out, where sessions do not tell
// when they were issued: a logout ends all from before it, on every device.
func TestC2b_TimeOfIssue(t *testing.T) {
	key := "hmac_secret " + ownSecret + "\nsubject_claim user_id\nrealm " + newRealm() + "\n"
	c, file := logged(t, sessionSite(key))
	s := start(t, c)
	u := signIn(t, s, "alice")
	token := func(user string, change map[string]any) string {
		return signed(t, jose.HS256, []byte(ownSecret), "", with(own(user), change))
	}
	ends := func(in time.Duration) map[string]any {
		return map[string]any{"iat": nil, "exp": time.Now().Add(in).Unix()}
	}
	u.as(http.MethodGet, "/who", token("alice", ends(time.Hour))).want(t, http.StatusUnauthorized, "session_required")
	found, _ := lines(t, file, "refused")
	if len(found) != 1 || !strings.Contains(found[0]["cause"].(string), "iat is missing: no logout could tell sessions from before it; issue sessions with it, or set `lifetime`") {
		t.Errorf("%v", found)
	}

	c, file = logged(t, sessionSite(key+"lifetime 2h"))
	load(t, s, c)
	phone, laptop := token("alice", ends(time.Hour)), token("alice", ends(30*time.Minute))
	bob := token("bob", ends(time.Hour))
	for _, session := range []string{phone, bob} {
		u.as(http.MethodGet, "/who", session).want(t, http.StatusOK, "")
	}
	u.as(http.MethodPost, "/logout", phone).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/who", phone).want(t, http.StatusUnauthorized, "session_required")
	u.as(http.MethodGet, "/who", laptop).want(t, http.StatusUnauthorized, "session_required") // was never seen
	u.as(http.MethodGet, "/who", bob).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/who", token("alice", map[string]any{"iat": time.Now().Add(5 * time.Second).Unix()})).want(t, http.StatusOK, "") // signed in anew

	// `iat` alone will do too, and what lives longer than was said is refused:
	// a logout would not end it.
	u.as(http.MethodGet, "/who", token("bob", map[string]any{"exp": nil})).want(t, http.StatusOK, "")
	u.as(http.MethodGet, "/who", token("bob", map[string]any{"exp": nil, "iat": time.Now().Add(-3 * time.Hour).Unix()})).want(t, http.StatusUnauthorized, "session_required")
	u.as(http.MethodGet, "/who", token("bob", ends(3*time.Hour))).want(t, http.StatusUnauthorized, "session_required")
	_, text := lines(t, file, "refused")
	if !strings.Contains(text, "it lives longer than `lifetime` says: a logout would not end it; raise `lifetime`") {
		t.Error("the log does not say why: " + filepath.Base(file))
	}
}
