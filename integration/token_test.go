// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

type handedOut struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
	BaseURL     string `json:"base_url"`
}

func (u *user) token() (handedOut, answer) {
	u.t.Helper()
	a := u.do(u.request(http.MethodPost, "/mdh-token", nil))
	var h handedOut
	if a.StatusCode == http.StatusOK {
		if err := json.Unmarshal([]byte(a.body), &h); err != nil {
			u.t.Fatal(err)
		}
	}
	return h, a
}

// TestTokenHandover protects what an SDK is given: a token that works at the
// platform, for the participant who is signed in, never kept by a cache.
func TestTokenHandover(t *testing.T) {
	over(t, stack.Caddyfile, func(t *testing.T, s *stack.Stack, u *user) {
		token, a := u.token()
		a.want(t, http.StatusOK, "")
		if token.TokenType != "Bearer" || token.ExpiresIn <= 3500 || token.ExpiresIn > 3600 || token.BaseURL != s.PlatformURL+"/" ||
			token.Scope != "Participant:read Project:read SurveyAnswers:read SurveyTasks:read api" {
			token.AccessToken = ""
			t.Errorf("answer %+v", token)
		}
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", a.Header)
		}
		req, _ := http.NewRequest(http.MethodGet, token.BaseURL+"api/v1/delegated/participant", nil)
		req.Header.Set("Authorization", "Bearer "+token.AccessToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if r := received(t, s); res.StatusCode != http.StatusOK || r.ParticipantID != stack.Alice.ID {
			t.Errorf("the token opens %d, participant %s", res.StatusCode, r.ParticipantID)
		}
		again, _ := u.token()
		if again.AccessToken != token.AccessToken {
			t.Error("a second request got another token")
		}
	})
}

// TestTokenMethods protects against tokens that leak by links and prefetches:
// POST only.
func TestTokenMethods(t *testing.T) {
	s := start(t, stack.Caddyfile)
	u := signIn(t, s, "alice")
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		a := u.do(u.request(method, "/mdh-token", nil))
		if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: %d, Allow %q", method, a.StatusCode, a.Header.Get("Allow"))
		}
	}
	if r := s.Platform.Records(); len(r) != 0 {
		t.Errorf("the platform was asked: %+v", r)
	}
}

// TestTokenScopes protects the SDK's token from being wider than the
// directive says.
func TestTokenScopes(t *testing.T) {
	s := start(t, strings.Replace(stack.Caddyfile, "delegate_token mydatahelps {", "delegate_token mydatahelps {\n\t\t\tscopes SurveyAnswers:read", 1))
	u := signIn(t, s, "alice")
	token, a := u.token()
	a.want(t, http.StatusOK, "")
	if token.Scope != "SurveyAnswers:read" {
		t.Errorf("scope %q", token.Scope)
	}
	// The proxy's own token has other scopes and is another token.
	u.get(participantPath).want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); c.ParticipantTokens != 2 || c.ServiceTokens != 1 {
		t.Errorf("%+v; want two participant tokens and one service token", c)
	}
}

// TestTokenEndsWithTheSession protects the end of a session: no answer says
// that a token lives longer.
func TestTokenEndsWithTheSession(t *testing.T) {
	s := start(t, stack.Caddyfile)
	u := signIn(t, s, "alice")
	u.session = s.App.SignIn("alice", time.Now().Add(10*time.Minute))
	token, a := u.token()
	a.want(t, http.StatusOK, "")
	if token.ExpiresIn > 600 || token.ExpiresIn < 590 {
		t.Errorf("expires_in %d in a session of 600 s", token.ExpiresIn)
	}
}

// TestTokenLongLife protects timers in browsers, which overflow after 24 days.
func TestTokenLongLife(t *testing.T) {
	s := start(t, stack.Caddyfile)
	s.Platform.Set(func(set *simulator.Settings) { set.ParticipantTokenLifetime = 90 * 86400 })
	token, a := signIn(t, s, "alice").token()
	a.want(t, http.StatusOK, "")
	if token.ExpiresIn != 86400 {
		t.Errorf("expires_in %d, want 86400", token.ExpiresIn)
	}
}

// TestShortTokensArePaced protects the issuer: the SDK asks again at once for
// a token that lives 120 s or less, over and over.
func TestShortTokensArePaced(t *testing.T) {
	s := start(t, stack.Caddyfile)
	s.Platform.Set(func(set *simulator.Settings) { set.ParticipantTokenLifetime = 100 })
	u, other := signIn(t, s, "alice"), signIn(t, s, "bob")
	_, a := u.token()
	a.want(t, http.StatusOK, "")
	for range 20 {
		_, a := u.token()
		a.want(t, http.StatusTooManyRequests, "too_many_requests")
		if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 25 {
			t.Fatalf("Retry-After %q, want up to a quarter of 100 s", a.Header.Get("Retry-After"))
		}
	}
	_, a = other.token()
	a.want(t, http.StatusOK, "")
	if c := s.Platform.Counts(); c.ParticipantTokens != 2 {
		t.Errorf("%d participant tokens, want 2", c.ParticipantTokens)
	}
}

// TestTokenProxyMode protects the other mode: the same answer, but the token
// stays here.
func TestTokenProxyMode(t *testing.T) {
	s := start(t, strings.Replace(stack.Caddyfile, "delegate_token mydatahelps {", "delegate_token mydatahelps {\n\t\t\tproxy /mdh/", 1))
	u := signIn(t, s, "alice")
	token, a := u.token()
	a.want(t, http.StatusOK, "")
	if token.BaseURL != s.URL()+"/mdh/" || token.AccessToken == "" || token.ExpiresIn != 86400 || token.TokenType != "Bearer" {
		t.Errorf("answer %+v", token)
	}
	if c := s.Platform.Counts(); c.ParticipantTokens != 0 {
		t.Errorf("%d participant tokens for a placeholder", c.ParticipantTokens)
	}
	// What an SDK then does with it.
	req := u.request(http.MethodGet, strings.TrimPrefix(token.BaseURL, s.URL())+"api/v1/delegated/participant", nil)
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	got := u.do(req)
	got.want(t, http.StatusOK, "")
	if !strings.Contains(got.body, stack.Alice.ID) {
		t.Errorf("alice sees %s", got.body)
	}
}
