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
		"delegate_logout {\n\t\t\tsubject {http.auth.user.staff_number}\n\t\t}\n\t\trespond \"signed out\"", 1))
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
