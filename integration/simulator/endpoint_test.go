// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
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

// Every violation of the assertion's rules that a real issuer refuses must be
// refused here, or a broken client would pass its tests.
func TestAssertionIsJudged(t *testing.T) {
	at := func(p *platform, d time.Duration) int64 { return p.clock().Add(d).Unix() }
	tests := map[string]struct {
		change func(*platform, map[string]any)
		reason string
	}{
		"iss is another":     {func(_ *platform, c map[string]any) { c["iss"] = "other" }, "iss is"},
		"sub is another":     {func(_ *platform, c map[string]any) { c["sub"] = "other" }, "sub is"},
		"aud is missing":     {func(_ *platform, c map[string]any) { delete(c, "aud") }, "aud is"},
		"aud has other host": {func(_ *platform, c map[string]any) { c["aud"] = "https://mydatahelps.org" + tokenPath }, "aud is"},
		"aud is https": {func(p *platform, c map[string]any) {
			c["aud"] = strings.Replace(p.url, "http:", "https:", 1) + tokenPath
		}, "aud is"},
		"aud is a list":   {func(p *platform, c map[string]any) { c["aud"] = []string{p.url + tokenPath} }, "aud is"},
		"exp is missing":  {func(_ *platform, c map[string]any) { delete(c, "exp") }, "exp is"},
		"exp is a string": {func(p *platform, c map[string]any) { c["exp"] = "1999999999" }, "exp is"},
		"exp is past":     {func(p *platform, c map[string]any) { c["exp"] = at(p, -time.Second) }, "ago"},
		"exp is too far":  {func(p *platform, c map[string]any) { c["exp"] = at(p, 302*time.Second) }, "ahead"},
		"exp is in ms":    {func(p *platform, c map[string]any) { c["exp"] = at(p, time.Minute) * 1000 }, "ahead"},
		"nbf is ahead":    {func(p *platform, c map[string]any) { c["nbf"] = at(p, time.Minute) }, "nbf"},
		"jti is missing":  {func(_ *platform, c map[string]any) { delete(c, "jti") }, "jti"},
		"jti is empty":    {func(_ *platform, c map[string]any) { c["jti"] = "" }, "jti"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			claims := p.claims()
			tt.change(p, claims)
			form := p.serviceForm()
			form.Set("client_assertion", sign(t, jose.RS256, accountKey(), claims))
			r := p.ask(form)
			if r.StatusCode != http.StatusBadRequest || r.json["error"] != "invalid_client" || len(r.json) != 1 {
				t.Errorf("answer %d %s", r.StatusCode, r.body)
			}
			if !strings.Contains(p.lastReason(), tt.reason) {
				t.Errorf("reason %q, want one with %q", p.lastReason(), tt.reason)
			}
		})
	}
}

// Algorithm confusion and foreign keys: the classic ways past a JWT check.
func TestSignatureIsJudged(t *testing.T) {
	p := newPlatform(t)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&accountKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	good := sign(t, jose.RS256, accountKey(), p.claims())
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for name, assertion := range map[string]string{
		"foreign key":       sign(t, jose.RS256, foreign, p.claims()),
		"PS256":             sign(t, jose.PS256, accountKey(), p.claims()),
		"RS512":             sign(t, jose.RS512, accountKey(), p.claims()),
		"HMAC by the key":   sign(t, jose.HS256, der, p.claims()),
		"none":              none + "." + parts[1] + ".",
		"signature missing": parts[0] + "." + parts[1] + ".",
		"payload swapped":   parts[0] + "." + strings.Split(sign(t, jose.RS256, foreign, p.claims()), ".")[1] + "." + parts[2],
		"not a JWT":         "x",
		"empty":             "",
	} {
		form := p.serviceForm()
		form.Set("client_assertion", assertion)
		if r := p.ask(form); r.json["error"] != "invalid_client" {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
}

// A client that reuses its assertion works with a lenient issuer only.
func TestAssertionIsUsedOnce(t *testing.T) {
	p := newPlatform(t)
	form := p.serviceForm()
	wantStatus(t, p.ask(form), http.StatusOK)
	wantStatus(t, p.ask(form), http.StatusBadRequest)
	p.Set(func(s *Settings) { s.StrictReplay = false })
	wantStatus(t, p.ask(form), http.StatusOK)
}

// Clock trouble has to look as it does in the field: refused assertions, and
// a Date header that explains them.
func TestClockSkewShows(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) { s.ClockSkew = 600 })
	r := p.ask(p.serviceForm())
	if r.json["error"] != "invalid_client" {
		t.Errorf("an assertion of 200 s with an issuer 600 s ahead: %s", r.body)
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if ahead := date.Sub(p.clock()); err != nil || ahead < 598*time.Second || ahead > 601*time.Second {
		t.Errorf("Date %q is %v ahead, want 600 s", r.Header.Get("Date"), ahead)
	}
	p.Set(func(s *Settings) { s.ClockSkew, s.MaxAssertionLifetime = -600, 3600 })
	wantStatus(t, p.ask(p.serviceForm()), http.StatusOK)
}

// One audience per host: a token URL of another name of the same server is another.
func TestAudienceFollowsHost(t *testing.T) {
	p := newPlatform(t)
	form := p.serviceForm()
	req := p.request(http.MethodPost, tokenPath, "", form.Encode())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Host = "designer.example"
	if r := p.do(req); r.json["error"] != "invalid_client" {
		t.Errorf("answer %s", r.body)
	}
	// Over TLS the audience is https.
	server := httptest.NewTLSServer(p.MyDataHelps)
	defer server.Close()
	claims := p.claims()
	claims["aud"] = server.URL + tokenPath
	form.Set("client_assertion", sign(t, jose.RS256, accountKey(), claims))
	req = p.request(http.MethodPost, tokenPath, "", form.Encode())
	req.URL.Scheme, req.URL.Host, req.Host = "https", server.Listener.Addr().String(), ""
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		t.Errorf("over TLS: status %d, %s", res.StatusCode, p.lastReason())
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
		"tokenAnswer":        func(s *Settings) { s.TokenAnswer = "htm" },
		"tokenAnswerGrant":   func(s *Settings) { s.TokenAnswerGrant = "x" },
		"kindMismatchStatus": func(s *Settings) { s.KindMismatchStatus = 404 },
		"outages: \"x\"":     func(s *Settings) { s.Outages = map[string]Outage{"x": {}} },
		"outages: token":     func(s *Settings) { s.Outages = map[string]Outage{"token": {Status: 99}} },
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
	held.ClientIDs[0] = "x"
	held.Outages["token"] = Outage{Status: 501}
	if s := p.Settings(); s.ClientIDs[0] != ClientID || s.Outages["token"].Status != 500 {
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
