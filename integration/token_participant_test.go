// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// placeholders is the usual Caddyfile with tokens that stay here.
var placeholders = strings.Replace(stack.Caddyfile, "delegate_token mydatahelps {", "delegate_token mydatahelps {\n\t\t\tproxy /mdh/", 1)

func code(t *testing.T, a answer) string {
	t.Helper()
	var problem struct{ Code string }
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil {
		t.Fatalf("%d %s: %v", a.StatusCode, a.body, err)
	}
	return problem.Code
}

// TestK3_TheTokenRouteTellsWhoIsNoParticipant protects users from a page that
// loads for ever: in proxy mode, too, it is the token route that refuses them,
// by the code that the proxy's routes give.
func TestK3_TheTokenRouteTellsWhoIsNoParticipant(t *testing.T) {
	withdrawn := simulator.Participant{ID: "cccccccc-3333-4333-8333-333333333333", Identifier: "carol", WithdrawDate: "2026-01-01T00:00:00Z"}
	s := start(t, placeholders, stack.Alice, withdrawn)
	for _, tt := range []struct {
		user   string
		status int
		code   string
	}{
		{"mallory", http.StatusForbidden, "participant_unknown"},
		{"carol", http.StatusForbidden, "participant_withdrawn"},
	} {
		s.Platform.Reset()
		u := signIn(t, s, tt.user)
		for range 3 {
			_, a := u.token()
			a.want(t, tt.status, tt.code)
			if a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: Cache-Control %q", tt.user, a.Header.Get("Cache-Control"))
			}
		}
		if got := u.get(participantPath); got.StatusCode != tt.status || code(t, got) != tt.code {
			t.Errorf("%s: the proxy says %d %s", tt.user, got.StatusCode, got.body)
		}
		if c := s.Platform.Counts(); c.Lookups != 1 || c.ParticipantTokens != 0 {
			t.Errorf("%s: %d look-ups and %d participant tokens, want 1 and none", tt.user, c.Lookups, c.ParticipantTokens)
		}
	}
}

// TestK3_ALookUpIsTheFirstCalls protects the platform's quota: what the token
// route has found, the proxy knows.
func TestK3_ALookUpIsTheFirstCalls(t *testing.T) {
	s := start(t, placeholders)
	u := signIn(t, s, "alice")
	for range 5 {
		token, a := u.token()
		a.want(t, http.StatusOK, "")
		if token.AccessToken != "session" {
			t.Error("the token left this server")
		}
	}
	u.get(participantPath).want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); c.Lookups != 1 || c.ParticipantTokens != 1 || c.ServiceTokens != 1 {
		t.Errorf("%+v, want one look-up and one token of each kind", c)
	}
}

// TestK3_NobodyKnownWhileThePlatformIsAway protects pages from taking an outage
// for an answer: who was found goes on, others are told to come again.
func TestK3_NobodyKnownWhileThePlatformIsAway(t *testing.T) {
	s := start(t, placeholders)
	alice, bob := signIn(t, s, "alice"), signIn(t, s, "bob")
	_, a := alice.token()
	a.want(t, http.StatusOK, "")
	s.Platform.Set(func(set *simulator.Settings) {
		set.Outages = control.Outages{"token": {Status: 503}, "admin": {Status: 503}}
	})
	_, a = alice.token()
	a.want(t, http.StatusOK, "")
	_, a = bob.token()
	a.want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to ask again")
	}
}

// TestK3_AnIDIsTriedOut protects who is named by an ID, which the platform looks
// up for nobody: a token is what tells.
func TestK3_AnIDIsTriedOut(t *testing.T) {
	s := start(t, strings.Replace(placeholders, "participant_identifier", "participant_id", 1))
	u := signIn(t, s, "dddddddd-4444-4444-8444-444444444444")
	for range 3 {
		_, a := u.token()
		a.want(t, http.StatusForbidden, "delegation_refused")
	}
	u.get(participantPath).want(t, http.StatusForbidden, "delegation_refused")
	if c := s.Platform.Counts(); c.TokenRequests != 2 {
		t.Errorf("%d requests for tokens, want one of each kind", c.TokenRequests)
	}
	signIn(t, s, "not-an-id").post(t).want(t, http.StatusForbidden, "participant_unknown")
	u = signIn(t, s, stack.Alice.ID)
	token, a := u.token()
	a.want(t, http.StatusOK, "")
	if token.AccessToken != "session" {
		t.Error("the token left this server")
	}
	u.get(participantPath).want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); c.ParticipantTokens != 1 {
		t.Errorf("%d participant tokens, want the one that was tried", c.ParticipantTokens)
	}
}

func (u *user) post(t *testing.T) answer {
	t.Helper()
	_, a := u.token()
	return a
}

// TestK3_AnotherSitesPageLearnsNothing protects who a user is from pages that
// may not ask: they are refused before anybody is looked up.
func TestK3_AnotherSitesPageLearnsNothing(t *testing.T) {
	s := start(t, placeholders)
	u := signIn(t, s, "mallory")
	req := u.request(http.MethodPost, "/mdh-token", nil)
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	u.do(req).want(t, http.StatusForbidden, "cross_origin")
	if r := s.Platform.Records(); len(r) > 0 {
		t.Errorf("the platform was asked: %d requests", len(r))
	}
}
