// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestLogoutWithoutTheClaim protects a user whose session lacks the claim that
// delegate_logout knows users by: app_session has found them signed in, and their
// sessions end all the same.
func TestLogoutWithoutTheClaim(t *testing.T) {
	l := newLogin(t)
	s := start(t, strings.Replace(l.caddyfile(""), "delegate_logout\n\t\trespond \"signed out\"",
		"delegate_logout {\n\t\t\tsubject {http.auth.user.staff_number}\n\t\t\trealm staff\n\t\t}\n\t\trespond \"signed out\"", 1))
	u := signIn(t, s, "alice")
	before := map[string]any{"iat": time.Now().Add(-time.Minute).Unix()}
	alice, bob := l.session("alice", before), l.session("bob", before)
	get := func(session string) answer {
		return u.do(u.with(http.MethodGet, participantPath, "Cookie", "__Host-session="+session))
	}
	get(alice).want(t, http.StatusOK, "")
	get(bob).want(t, http.StatusOK, "")
	u.do(u.with(http.MethodPost, "/logout", "Cookie", "__Host-session="+alice)).want(t, http.StatusOK, "")
	get(alice).want(t, http.StatusUnauthorized, "session_required")
	get(l.session("alice", nil)).want(t, http.StatusOK, "")
	if got := s.Platform.Counts(); got.ParticipantTokens != 3 {
		t.Errorf("the old token was kept: %+v", got)
	}
	get(bob).want(t, http.StatusOK, "")
}

// TestClaimIsAnothersSubject protects users from one whose claim has the text of
// their ID: a directive that takes a claim for the subject names users in a realm
// of its own, without one it does not load.
func TestClaimIsAnothersSubject(t *testing.T) {
	l, s := newLogin(t), newStack(t)
	withClaim := func(lines string) string {
		return strings.Replace(administered(l.caddyfile("")), "delegate_proxy mydatahelps\n", "delegate_proxy mydatahelps {\n\t\t\tsubject {http.auth.user.staff_number}\n"+lines+"\t\t}\n", 1)
	}
	if err := s.Restart(withClaim("")); err == nil || !strings.Contains(err.Error(), "add a realm of its own for these names, such as `realm staff_number`") {
		t.Fatalf("loads: %v", err)
	}
	m := newMachine(t, s, withClaim("\t\t\trealm staff_number\n"))
	before := ago(time.Minute)["iat"]
	mallory := l.session("7", map[string]any{"iat": before, "staff_number": "12"})
	victim := l.session("12", map[string]any{"iat": before, "staff_number": "30"})
	m.wantAt("victim before", "/who", victim, http.StatusOK)
	m.signOut(mallory)
	m.wantAt("victim, after somebody else has signed out", "/who", victim, http.StatusOK)
	m.wantAt("mallory", "/who", mallory, http.StatusUnauthorized)
}
