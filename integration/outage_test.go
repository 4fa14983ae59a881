// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT28_HostileTokenAnswers protects from whatever a token endpoint may
// answer: no request goes out on it and nothing of it is shown.
func TestT28_HostileTokenAnswers(t *testing.T) {
	for _, grant := range []string{"service", "delegated"} {
		for _, kind := range []string{
			"html", "empty", "huge", "expires_absent", "expires_zero", "expires_negative", "expires_string", "expires_1e18",
			"crlf_token", "nul_token", "wrong_type", "redirect", "wider_scope", "duplicate_keys",
		} {
			t.Run(grant+" "+kind, func(t *testing.T) {
				s := start(t, stack.Caddyfile)
				s.Platform.Set(func(set *simulator.Settings) { set.TokenAnswer, set.TokenAnswerGrant = kind, grant })
				u := signIn(t, s, "alice")
				for _, a := range []answer{u.get(participantPath), u.do(u.request(http.MethodPost, "/mdh-token", nil))} {
					a.want(t, http.StatusServiceUnavailable, "issuer_unavailable")
					if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
						t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
					}
				}
				if c := s.Platform.Counts(); c.Delegated != 0 {
					t.Errorf("%d requests reached the API", c.Delegated)
				}
			})
		}
	}
}

// TestRefusals protects the codes that frontends branch on, over every protocol.
func TestRefusals(t *testing.T) {
	down := func(area string, o simulator.Outage) func(*simulator.Settings) {
		return func(s *simulator.Settings) { s.Outages = map[string]simulator.Outage{area: o} }
	}
	for name, c := range map[string]struct {
		settings func(*simulator.Settings)
		status   int
		code     string
		wait     string
	}{
		"client rejected": {func(s *simulator.Settings) { s.TokenError = "invalid_client" }, 502, "credentials_rejected", ""},
		"scope rejected":  {func(s *simulator.Settings) { s.TokenError = "invalid_scope" }, 502, "scope_rejected", ""},
		"participant refused": {func(s *simulator.Settings) {
			s.TokenError, s.TokenAnswerGrant = "invalid_grant", "delegated"
		}, 403, "delegation_refused", ""},
		"issuer down":           {down("token", simulator.Outage{Status: 503}), 503, "issuer_unavailable", "1"},
		"issuer throttled":      {down("token", simulator.Outage{Status: 429, Header: map[string]string{"Retry-After": "7"}}), 503, "issuer_throttled", "7"},
		"issuer throttled long": {down("token", simulator.Outage{Status: 429, Header: map[string]string{"Retry-After": "1000000000"}}), 503, "issuer_throttled", "60"},
		"issuer resets":         {down("token", simulator.Outage{Reset: true}), 503, "issuer_unavailable", "1"},
		"lookup down":           {down("admin", simulator.Outage{Status: 500}), 503, "issuer_unavailable", "5"},
		"lookup forbidden":      {down("admin", simulator.Outage{Status: 403}), 502, "credentials_rejected", ""},
		"clock is off":          {func(s *simulator.Settings) { s.ClockSkew = 900 }, 502, "credentials_rejected", ""},
	} {
		t.Run(name, func(t *testing.T) {
			over(t, stack.Caddyfile, func(t *testing.T, s *stack.Stack, u *user) {
				s.Platform.Set(c.settings)
				a := u.get(participantPath)
				a.want(t, c.status, c.code)
				if got := a.Header.Get("Retry-After"); got != c.wait {
					t.Errorf("Retry-After %q, want %q", got, c.wait)
				}
				if c := s.Platform.Counts(); c.Delegated != 0 {
					t.Errorf("%d requests reached the API", c.Delegated)
				}
			})
		})
	}
}

// TestUpstreamErrorsPass protects answers that are the platform's own: the
// SDKs read them, 429 and its headers above all.
func TestUpstreamErrorsPass(t *testing.T) {
	s := start(t, stack.Caddyfile)
	u := signIn(t, s, "alice")
	for _, status := range []int{400, 403, 404, 409, 429, 500, 503} {
		s.Platform.Reset()
		a := u.get(customPath + "Status?code=" + strconv.Itoa(status))
		if a.StatusCode != status || a.Header.Get("Proxy-Status") != "" {
			t.Errorf("%d became %d, Proxy-Status %q", status, a.StatusCode, a.Header.Get("Proxy-Status"))
		}
		if c := s.Platform.Counts(); c.Delegated != 1 {
			t.Errorf("%d was retried: %d requests", status, c.Delegated)
		}
	}
}

// TestHandleErrors protects a site's own error pages: they get the status and
// the code, and nothing else to show. A site without keeps its JSON.
func TestHandleErrors(t *testing.T) {
	site := `handle_errors {
		header X-Echo "{http.error.message}|{http.delegate.code}|{http.delegate.provider}"
		respond "page {err.status_code}" {err.status_code}
	}`
	over(t, proxied("", site), testHandleErrors)
}

func testHandleErrors(t *testing.T, s *stack.Stack, u *user) {
	u.session = signIn(t, s, "stranger").session
	a := u.get(participantPath)
	if a.StatusCode != http.StatusForbidden || a.body != "page 403" || a.Header.Get("X-Echo") != "participant_unknown|participant_unknown|mydatahelps" {
		t.Errorf("%d %q, X-Echo %q", a.StatusCode, a.body, a.Header.Get("X-Echo"))
	}
	if !strings.Contains(a.Header.Get("Proxy-Status"), "participant_unknown") {
		t.Errorf("Proxy-Status %q", a.Header.Get("Proxy-Status"))
	}
}

// TestHandleErrorsOfAnotherSite protects a site without error pages from one
// that has some: Caddy keeps them in one place for both.
func TestHandleErrorsOfAnotherSite(t *testing.T) {
	s := start(t, proxied("", "")+`
http://localhost:[[.Port]] {
	handle_errors {
		respond "page"
	}
}
`)
	signIn(t, s, "stranger").get(participantPath).want(t, http.StatusForbidden, "participant_unknown")
}
