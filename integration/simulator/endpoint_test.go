// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Without a good case, every refusal below could be for the wrong reason.
func TestTokensAreMinted(t *testing.T) {
	p := newPlatform(t)
	opaque := regexp.MustCompile(`^[0-9a-f]{32}$`)
	service := p.ask(p.serviceForm())
	wantStatus(t, service, http.StatusOK)
	token := service.json["access_token"].(string)
	if !opaque.MatchString(token) || service.json["expires_in"] != 300.0 || service.json["token_type"] != "Bearer" || len(service.json) != 3 {
		t.Errorf("service token: %v", service.json)
	}
	for _, client := range []string{ClientID, ClientIDLegacy, ClientIDWeb} {
		form := delegatedForm(token, strings.ToUpper(alice.ID), "Participant:read", "SurveyAnswers:read")
		form.Set("client_id", client)
		r := p.ask(form)
		wantStatus(t, r, http.StatusOK)
		if !opaque.MatchString(r.json["access_token"].(string)) || r.json["expires_in"] != 3600.0 || len(r.json) != 3 {
			t.Errorf("participant token for %s: %v", client, r.json)
		}
	}
	want := Counts{ServiceTokens: 1, ParticipantTokens: 3, TokenRequests: 4}
	until(t, "the last call to end", func() bool { return p.Counts().InFlight == 0 })
	if got := p.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

// The order of checks decides which error an operator sees.
func TestTokenRequestIsJudgedInOrder(t *testing.T) {
	p := newPlatform(t)
	service := p.serviceToken()
	own := p.participantToken(alice.ID)
	p.UpdateParticipant(bob.ID, func(b *Participant) { b.WithdrawDate = "2025-06-01T00:00:00.000+00:00" })
	p.AddParticipant(Participant{ID: "cccccccc-3333-4333-8333-333333333333", Identifier: "carol"})
	p.Set(func(s *Settings) { s.RefusedParticipants = []string{"cccccccc-3333-4333-8333-333333333333"} })

	set := func(pairs ...string) func(url.Values) {
		return func(f url.Values) {
			for i := 0; i < len(pairs); i += 2 {
				f.Set(pairs[i], pairs[i+1])
			}
		}
	}
	unset := func(name string) func(url.Values) { return func(f url.Values) { f.Del(name) } }
	for name, tt := range map[string]struct {
		delegated bool
		change    func(url.Values)
		want      string
	}{
		"everything is wrong":           {true, set("client_id", "x", "grant_type", "x", "scope", "x", "participant_id", "x"), "invalid_client"},
		"all but the client":            {true, set("grant_type", "x", "scope", "x", "participant_id", "x"), "unsupported_grant_type"},
		"scope and payload":             {true, set("scope", "x", "participant_id", "x"), "invalid_scope"},
		"wrong secret":                  {true, set("client_secret", "x"), "invalid_client"},
		"no client at all":              {true, unset("client_id"), "invalid_client"},
		"delegated, no grant type":      {true, unset("grant_type"), "unsupported_grant_type"},
		"delegated client, service":     {true, set("grant_type", "client_credentials"), "unsupported_grant_type"},
		"delegated, no scope":           {true, unset("scope"), "invalid_scope"},
		"one scope of two unknown":      {true, set("scope", "Participant:read Participant:destroy"), "invalid_scope"},
		"scope in wrong case":           {true, set("scope", "participant:read"), "invalid_scope"},
		"identifier instead of GUID":    {true, set("participant_id", "alice"), "invalid_grant"},
		"GUID in braces":                {true, set("participant_id", "{"+alice.ID+"}"), "invalid_grant"},
		"GUID of nobody":                {true, set("participant_id", "dddddddd-4444-4444-8444-444444444444"), "invalid_grant"},
		"withdrawn participant":         {true, set("participant_id", bob.ID), "invalid_grant"},
		"refused participant":           {true, set("participant_id", "cccccccc-3333-4333-8333-333333333333"), "invalid_grant"},
		"no service token":              {true, unset("token"), "invalid_grant"},
		"participant's token":           {true, set("token", own), "invalid_grant"},
		"token nobody minted":           {true, set("token", strings.Repeat("0", 32)), "invalid_grant"},
		"service, other assertion type": {false, set("client_assertion_type", "x"), "invalid_client"},
		"service, no assertion type":    {false, unset("client_assertion_type"), "invalid_client"},
		"service, no assertion":         {false, unset("client_assertion"), "invalid_client"},
		"service, other client_id":      {false, set("client_id", "x"), "invalid_client"},
		"service, delegated grant":      {false, set("grant_type", "delegated_participant"), "unsupported_grant_type"},
		"service, participant's scope":  {false, set("scope", "api Participant:read"), "invalid_scope"},
		"a field twice":                 {true, func(f url.Values) { f.Add("scope", "api") }, "invalid_request"},
	} {
		form := delegatedForm(service, alice.ID, "Participant:read")
		if !tt.delegated {
			form = p.serviceForm()
		}
		tt.change(form)
		before := p.Counts().TokenRefusals
		r := p.ask(form)
		if r.StatusCode != http.StatusBadRequest || r.json["error"] != tt.want {
			t.Errorf("%s: %d %s, want %s", name, r.StatusCode, r.body, tt.want)
		}
		if got := p.Counts().TokenRefusals; got != before+1 {
			t.Errorf("%s: %d refusals counted, want 1", name, got-before)
		}
	}
}

// A token request that is no form POST, or hides its fields in the URL where
// they get logged, must not work.
func TestTokenRequestIsAForm(t *testing.T) {
	p := newPlatform(t)
	form := p.serviceForm().Encode()
	wantStatus(t, p.call(http.MethodGet, tokenPath+"?"+form, "", ""), http.StatusMethodNotAllowed)

	req := p.request(http.MethodPost, tokenPath+"?"+form, "", "")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if r := p.do(req); r.json["error"] != "invalid_client" {
		t.Errorf("fields in the query: %s", r.body)
	}
	req = p.request(http.MethodPost, tokenPath, "", `{"grant_type":"client_credentials"}`)
	req.Header.Set("Content-Type", "application/json")
	if r := p.do(req); r.json["error"] != "invalid_request" {
		t.Errorf("JSON: %s", r.body)
	}
	req = p.request(http.MethodPost, tokenPath, "", form)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("client", "secret")
	if r := p.do(req); r.json["error"] != "invalid_client" {
		t.Errorf("HTTP Basic: %s", r.body)
	}
}

// Delegation must end with the service token's life.
func TestServiceTokenEnds(t *testing.T) {
	p := newPlatform(t)
	service := p.serviceToken()
	p.pass(299 * time.Second)
	wantStatus(t, p.ask(delegatedForm(service, alice.ID, "api")), http.StatusOK)
	p.pass(time.Second)
	if r := p.ask(delegatedForm(service, alice.ID, "api")); r.json["error"] != "invalid_grant" {
		t.Errorf("expired: %s", r.body)
	}
	service = p.serviceToken()
	p.RevokeService()
	if r := p.ask(delegatedForm(service, alice.ID, "api")); r.json["error"] != "invalid_grant" {
		t.Errorf("revoked: %s", r.body)
	}
}

// A switch that does nothing would make the tests that use it worthless.
func TestBadTokenAnswers(t *testing.T) {
	p := newPlatform(t)
	service := p.serviceToken()
	answers := map[string]func(response) bool{
		"html": func(r response) bool {
			return strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") && r.json == nil
		},
		"empty":            func(r response) bool { return r.body == "" },
		"huge":             func(r response) bool { return len(r.body) > 2<<20 && r.json["access_token"] != nil },
		"expires_absent":   func(r response) bool { return len(r.json) == 2 && r.json["access_token"] != nil },
		"expires_zero":     func(r response) bool { return r.json["expires_in"] == 0.0 },
		"expires_negative": func(r response) bool { return r.json["expires_in"] == -3600.0 },
		"expires_string":   func(r response) bool { return r.json["expires_in"] == "3600" },
		"expires_1e18":     func(r response) bool { return r.json["expires_in"] == 1e18 },
		"crlf_token":       func(r response) bool { return strings.Contains(r.json["access_token"].(string), "\r\n") },
		"nul_token":        func(r response) bool { return strings.Contains(r.json["access_token"].(string), "\x00") },
		"wrong_type":       func(r response) bool { return r.json["token_type"] == "mac" },
		"redirect":         func(r response) bool { return r.StatusCode == 307 && r.Header.Get("Location") != "" },
		"wider_scope":      func(r response) bool { return strings.HasPrefix(r.json["scope"].(string), "api ") },
		"duplicate_keys":   func(r response) bool { return strings.Count(r.body, "access_token") == 2 },
	}
	for name := range tokenAnswers {
		if answers[name] == nil {
			t.Errorf("%s is not tested", name)
		}
	}
	for name, bad := range answers {
		p.Set(func(s *Settings) { s.TokenAnswer, s.TokenAnswerGrant = name, "delegated" })
		if r := p.ask(delegatedForm(service, alice.ID, "api")); !bad(r) {
			t.Errorf("%s: %d %v %.200s", name, r.StatusCode, r.Header, r.body)
		}
		if r := p.ask(p.serviceForm()); r.StatusCode != http.StatusOK || r.json["expires_in"] != 300.0 {
			t.Errorf("%s for delegated tokens hits the service token: %.200s", name, r.body)
		}
	}
	p.Set(func(s *Settings) { s.TokenAnswer, s.TokenAnswerGrant = "empty", "service" })
	if r := p.ask(p.serviceForm()); r.body != "" {
		t.Errorf("meant for the service token: %s", r.body)
	}
	wantStatus(t, p.ask(delegatedForm(service, alice.ID, "api")), http.StatusOK)
	p.Set(func(s *Settings) {
		s.TokenAnswer, s.TokenAnswerGrant, s.TokenError, s.TokenErrorStatus = "", "both", "unauthorized_client", 401
	})
	if r := p.ask(p.serviceForm()); r.StatusCode != 401 || r.json["error"] != "unauthorized_client" {
		t.Errorf("tokenError: %d %s", r.StatusCode, r.body)
	}
}

// A misspelt switch must not pass for a test of it.
func TestSettingsAreChecked(t *testing.T) {
	p := newPlatform(t)
	for name, change := range map[string]func(*Settings){
		"tokenAnswer":      func(s *Settings) { s.TokenAnswer = "htm" },
		"tokenAnswerGrant": func(s *Settings) { s.TokenAnswerGrant = "x" },
		"outages: \"x\"":   func(s *Settings) { s.Outages = map[string]Outage{"x": {}} },
		"outages: token":   func(s *Settings) { s.Outages = map[string]Outage{"token": {Status: 99}} },
	} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, name) {
					t.Errorf("%s: panic %q", name, r)
				}
			}()
			p.Set(change)
		}()
	}
	if s := p.Settings(); s.TokenAnswer != "" || s.Outages != nil {
		t.Errorf("a refused change stayed: %+v", s)
	}
	// What a caller holds on to must not reach into the running settings.
	var held *Settings
	p.Set(func(s *Settings) { held = s; s.Outages = map[string]Outage{"token": {Status: 500}} })
	held.Outages["token"] = Outage{Status: 501}
	if s := p.Settings(); s.Outages["token"].Status != 500 {
		t.Errorf("settings changed from outside: %+v", s)
	}
}

// The scopes a participant token may have are the documented ones.
func TestKnownScopes(t *testing.T) {
	p := newPlatform(t)
	service := p.serviceToken()
	wantStatus(t, p.ask(delegatedForm(service, alice.ID, Scopes...)), http.StatusOK)
	needed := map[string]bool{}
	for _, r := range delegatedRoutes {
		if r.scope != "" {
			needed[r.scope] = true
		}
	}
	for scope := range maps.Keys(needed) {
		if !slices.Contains(Scopes, scope) {
			t.Errorf("a route needs %s, which no token can have", scope)
		}
	}
}
