// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

const goodForm = "grant_type=client_credentials&scope=mydex%3Apdx"

// Without a good case, every refusal below could be for the wrong reason.
func TestTokenIsIssued(t *testing.T) {
	p := newPlatform(t)
	r := p.ask("grant_type=client_credentials&scope=mydex%3Apdx+get%3A%2Fcalendar%2Fget-events", goodBasic())
	wantStatus(t, r, http.StatusOK)
	if !strings.HasPrefix(r.json["access_token"].(string), "ory_at_") || r.json["expires_in"] != 3599.0 ||
		r.json["scope"] != "mydex:pdx get:/calendar/get-events" || r.json["token_type"] != "bearer" || len(r.json) != 4 {
		t.Errorf("token: %s", r.body)
	}
	p.Set(func(s *Settings) { s.TokenLifetime = 60 })
	if r := p.ask(goodForm, goodBasic()); r.json["expires_in"] != 60.0 {
		t.Errorf("token: %s", r.body)
	}
	if c := p.Counts(); c.TokenRequests != 2 || c.Tokens != 2 || c.TokenRefusals != 0 {
		t.Errorf("counts %+v", c)
	}
}

// A client that authenticates in another way than Mydex's server wants, or
// asks for what it may not have, must fail here as it would there.
func TestTokenIsRefused(t *testing.T) {
	encodedID, encodedSecret := url.QueryEscape(clientID), url.QueryEscape(clientSecret)
	for name, tt := range map[string]struct {
		form   string
		header []string
		status int
		code   string
		says   string
	}{
		"no credentials":      {goodForm, nil, 401, "invalid_client", "Client authentication failed (e.g., unknown client"},
		"credentials in body": {goodForm + "&client_id=" + encodedID + "&client_secret=" + encodedSecret, nil, 401, "invalid_client", "Client authentication failed"},
		"credentials in both": {goodForm + "&client_secret=" + encodedSecret, []string{goodBasic()}, 401, "invalid_client", "client_secret_basic"},
		"bearer":              {goodForm, []string{"Authorization: Bearer x"}, 401, "invalid_client", ""},
		"unknown client":      {goodForm, []string{basic("other", encodedSecret)}, 401, "invalid_client", ""},
		"wrong secret":        {goodForm, []string{basic(encodedID, "other")}, 401, "invalid_client", ""},
		"secret not encoded":  {goodForm, []string{basic(encodedID, clientSecret)}, 401, "invalid_client", ""},
		"secret half encoded": {goodForm, []string{basic(encodedID, "100%")}, 400, "invalid_request", "could not be decoded"},
		"id half encoded":     {goodForm, []string{basic("100%", encodedSecret)}, 400, "invalid_request", "could not be decoded"},
		"scope not allowed": {
			goodForm + "+mydex%3Aidentifiers",
			[]string{goodBasic()},
			400, "invalid_scope",
			"The requested scope is invalid, unknown, or malformed. The OAuth 2.0 Client is not allowed to request scope 'mydex:identifiers'.",
		},
		"scopes by comma":   {"grant_type=client_credentials&scope=mydex%3Apdx%2Cget%3A%2Fcalendar%2Fget-events", []string{goodBasic()}, 400, "invalid_scope", ""},
		"scope in capitals": {"grant_type=client_credentials&scope=MYDEX%3APDX", []string{goodBasic()}, 400, "invalid_scope", ""},
		"no grant":          {"scope=mydex%3Apdx", []string{goodBasic()}, 400, "invalid_request", "grant_type"},
		"another grant":     {"grant_type=password", []string{goodBasic()}, 400, "unsupported_grant_type", ""},
		"empty body":        {"", []string{goodBasic()}, 400, "invalid_request", "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			r := p.ask(tt.form, tt.header...)
			wantStatus(t, r, tt.status)
			description, _ := r.json["error_description"].(string)
			if r.json["error"] != tt.code || description == "" || !strings.Contains(description, tt.says) || len(r.json) != 2 {
				t.Errorf("body %s", r.body)
			}
			if c := p.Counts(); c.Tokens != 0 || c.TokenRequests != 1 || c.TokenRefusals != 1 {
				t.Errorf("counts %+v", c)
			}
			p.Set(func(s *Settings) { s.LegacyErrors = true })
			if r := p.ask(tt.form, tt.header...); r.json["status_code"] != float64(tt.status) || r.json["error"] != tt.code {
				t.Errorf("older mode: %s", r.body)
			}
		})
	}
}

func TestTokenEndpointHeaders(t *testing.T) {
	p := newPlatform(t)
	for name, r := range map[string]response{"good": p.ask(goodForm, goodBasic()), "bad": p.ask(goodForm)} {
		for header, want := range map[string]string{"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "no-store", "Pragma": "no-cache"} {
			if got := r.Header.Get(header); got != want {
				t.Errorf("%s: %s: %q", name, header, got)
			}
		}
	}
	wantStatus(t, p.do("GET", p.op+"/oauth2/token", ""), http.StatusMethodNotAllowed)
	wantStatus(t, p.do("POST", p.op+"/ftc/setup", ""), http.StatusNotFound)
	wantStatus(t, p.do("POST", p.op+"/oauth2/token", goodForm, goodBasic(), "Content-Type: application/json"), http.StatusBadRequest)
	// What is in the query must not count: it would be in the access log.
	wantStatus(t, p.do("POST", p.op+"/oauth2/token?"+goodForm, "", goodBasic(), formEncoded), http.StatusBadRequest)
}

// A new secret, scopes taken away and made-up errors, as during operation.
func TestTokenEndpointChanges(t *testing.T) {
	p := newPlatform(t)
	p.SetClientSecret("plain")
	wantStatus(t, p.ask(goodForm, goodBasic()), http.StatusUnauthorized)
	wantStatus(t, p.ask(goodForm, basic(clientID, "plain")), http.StatusOK)
	p.SetClientSecret(clientSecret)
	p.Set(func(s *Settings) { s.Scopes = []string{"mydex:identifiers"} })
	if r := p.ask(goodForm, goodBasic()); r.json["error"] != "invalid_scope" {
		t.Errorf("body %s", r.body)
	}
	p.Set(func(s *Settings) { s.Scopes, s.TokenError = []string{ScopePDX}, "unauthorized_client" })
	r := p.ask(goodForm, goodBasic())
	if wantStatus(t, r, http.StatusBadRequest); r.json["error"] != "unauthorized_client" {
		t.Errorf("body %s", r.body)
	}
	p.Set(func(s *Settings) { s.TokenErrorStatus = 503 })
	wantStatus(t, p.ask(goodForm, goodBasic()), http.StatusServiceUnavailable)
}

// Each bad answer is one that a client must survive.
func TestTokenAnswers(t *testing.T) {
	p := newPlatform(t)
	for answer := range tokenAnswers {
		p.Set(func(s *Settings) { s.TokenAnswer = answer })
		r := p.ask(goodForm, goodBasic())
		if answer == "redirect" {
			wantStatus(t, r, http.StatusTemporaryRedirect)
			continue
		}
		wantStatus(t, r, http.StatusOK)
		good := r.json["expires_in"] == 3599.0 && r.json["token_type"] == "bearer" && r.json["scope"] == ScopePDX &&
			!strings.Contains(r.json["access_token"].(string), "\n")
		if good {
			t.Errorf("%s: the answer is good: %s", answer, r.body)
		}
	}
}

func TestOutages(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) {
		s.Outages = map[string]simulator.Outage{
			"token": {Status: 503, Header: map[string]string{"Retry-After": "7"}},
			"pdx":   {Status: 502, Body: "<html>", Delay: 1},
			"setup": {Reset: true},
		}
	})
	if r := p.ask(goodForm, goodBasic()); r.StatusCode != 503 || r.Header.Get("Retry-After") != "7" {
		t.Errorf("token: %d %v", r.StatusCode, r.Header)
	}
	if r := p.do("GET", p.pdx+"/timeline", ""); r.StatusCode != 502 || r.body != "<html>" {
		t.Errorf("pdx: %d %s", r.StatusCode, r.body)
	}
	if c := p.Counts(); c.TokenRequests != 1 || c.PDX != 1 {
		t.Errorf("counts %+v", c)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", p.identity+"/ftc/setup", strings.NewReader("{}"))
	if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
		_ = res.Body.Close()
		t.Errorf("setup: status %d, want no answer", res.StatusCode)
	}
	// The pages are another area.
	wantStatus(t, p.do("GET", p.identity+"/ftc/begin/45678/x/1", ""), http.StatusGone)
	p.Set(func(s *Settings) { s.Outages = nil })
	wantStatus(t, p.ask(goodForm, goodBasic()), http.StatusOK)
}

// A held request must be answered when the outage is over, with the settings of then.
func TestHeldRequests(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) { s.Outages = map[string]simulator.Outage{"token": {Hold: true}} })
	answered := make(chan response, 1)
	go func() { answered <- p.ask(goodForm, goodBasic()) }()
	for deadline := time.Now().Add(10 * time.Second); p.Counts().InFlight == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the request did not arrive")
		}
		<-time.After(time.Millisecond)
	}
	select {
	case r := <-answered:
		t.Fatalf("answered: %d", r.StatusCode)
	default:
	}
	p.Set(func(s *Settings) { s.Outages, s.TokenLifetime = nil, 5 })
	if r := <-answered; r.json["expires_in"] != 5.0 {
		t.Errorf("answer %s", r.body)
	}
}
