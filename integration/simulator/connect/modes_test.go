// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Each mode does what it says, and nothing of it is left afterwards.
func TestModes(t *testing.T) {
	p := newPlatform(t)
	is := func(name string, want any) func(*testing.T, response) {
		return func(t *testing.T, r response) {
			wantStatus(t, r, 200)
			if got, there := r.json[name]; got != want || !there {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	}
	without := func(name string) func(*testing.T, response) {
		return func(t *testing.T, r response) {
			wantStatus(t, r, 200)
			if _, there := r.json[name]; there || len(r.json) != 4 {
				t.Errorf("answer %s", r.body)
			}
		}
	}
	says := func(status int, kind, text string) func(*testing.T, response) {
		return func(t *testing.T, r response) {
			wantStatus(t, r, status)
			if got := r.Header.Get("Content-Type"); !strings.HasPrefix(got, kind) || !strings.Contains(r.body, text) {
				t.Errorf("%s: %.200s", got, r.body)
			}
		}
	}
	for mode, check := range map[string]func(*testing.T, response){
		"echo_another":        is("clientUserId", "another-user-1"),
		"echo_none":           without("clientUserId"),
		"echo_another_client": is("clientId", "another-app-one"),
		"error_body":          says(200, "application/json", `"statusCode":400`),
		"html":                says(200, "text/html", "<!DOCTYPE html>"),
		"empty":               says(200, "application/json", ""),
		"truncated":           says(200, "application/json", `"UserCode":"uc-ada"`),
		"user_code_number":    is("UserCode", json.Number("9007199254740992")),
		"user_code_null":      is("UserCode", nil),
		"user_code_absent":    without("UserCode"),
		"access_token_null":   is("accessToken", nil),
		"public_token_absent": without("publicToken"),
		"echo_secret":         says(400, "text/html", secret),
		"echo_secret_500":     says(500, "text/html", secret),
		"500":                 says(500, "application/json", "simulated"),
		"429":                 says(429, "application/json", "simulated"),
		"huge": func(t *testing.T, r response) {
			wantStatus(t, r, 200)
			if len(r.body) < 2<<20 || r.json["accessToken"] == nil {
				t.Errorf("%d bytes", len(r.body))
			}
		},
		"user_code_huge": func(t *testing.T, r response) {
			wantStatus(t, r, 200)
			if id, _ := r.json["UserCode"].(string); len(id) != 10<<10 {
				t.Errorf("the ID has %d bytes", len(id))
			}
		},
	} {
		t.Run(mode, func(t *testing.T) {
			if err := p.SetMode(mode); err != nil {
				t.Fatal(err)
			}
			r := p.exchange(p.token("user-1", ada))
			check(t, r)
			if mode == "429" && r.Header.Get("Retry-After") != "7" {
				t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
			}
			if mode == "echo_secret" && !strings.Contains(r.Header.Get("X-Request-Body"), secret) {
				t.Errorf("headers %v", r.Header)
			}
			if err := p.SetMode(); err != nil {
				t.Fatal(err)
			}
			wantFields(t, p.exchange(p.token("user-1", ada)), map[string]any{"clientUserId": "user-1", "clientId": clientID, "UserCode": ada.UserCode})
		})
	}
	if err := p.SetMode("echo_nun"); err == nil || !strings.Contains(err.Error(), "echo_none") {
		t.Errorf("a misspelt mode: %v", err)
	}
	names := map[string]bool{}
	for _, m := range Modes() {
		if names[m.Name] || m.Text == "" {
			t.Errorf("mode %+v", m)
		}
		names[m.Name] = true
		if err := p.SetMode(m.Name); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}

// The other bad forms, which have no mode of their own.
func TestForms(t *testing.T) {
	p := newPlatform(t)
	for form, want := range map[string]string{
		"empty": `"accessToken":""`, "number": `"accessToken":900719925`, "object": `"accessToken":{"id":"at-`, "array": `"accessToken":["at-`, "crlf": `\r\nX-Injected: yes"`,
	} {
		p.Set(func(s *Settings) { s.AccessToken = form })
		if r := p.exchange(p.token("user-1", ada)); !strings.Contains(r.body, want) {
			t.Errorf("%s: %s", form, r.body)
		}
	}
	p.Set(func(s *Settings) { s.AccessToken, s.Echo, s.EchoUser = "", "another", "user-2" })
	wantFields(t, p.exchange(p.token("user-1", ada)), map[string]any{"clientUserId": "user-2"})
	for _, answer := range []string{"array", "twice"} {
		p.Set(func(s *Settings) { s.Answer = answer })
		if r := p.exchange(p.token("user-1", ada)); json.Valid([]byte(r.body)) != (answer == "array") || !strings.Contains(r.body, "accessToken") {
			t.Errorf("%s: %s", answer, r.body)
		}
	}
}

// Numbers that a client with floating point takes for one another.
func TestNumbers(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) { s.UserCode, s.Preset = "number", HumanConnectV1 })
	token := p.token("user-2", ben)
	handed, _ := json.Marshal(p.Handover(token))
	if !strings.Contains(string(handed), `"humanId":"9007199254740993"`) {
		t.Errorf("the widget hands over %s", handed)
	}
	r := p.do("POST", "/v1/connect/tokens", `{"humanId":9007199254740993,"clientId":"app-one","clientSecret":"`+secret+`","sessionToken":"`+token+`"}`, asJSON)
	wantStatus(t, r, 200)
	if !strings.Contains(r.body, `"humanId":9007199254740993,`) {
		t.Errorf("answer %s", r.body)
	}
	wantStatus(t, p.do("POST", "/v1/connect/publictokens", `{"humanId":"9007199254740993","clientId":"app-one","clientSecret":"`+secret+`"}`, asJSON), 200)
}

// Uncertain answers: the token is used up, and the client does not know.
func TestUncertain(t *testing.T) {
	p := newPlatform(t)
	token := p.token("user-1", ada)
	if err := p.SetMode("drop"); err != nil {
		t.Fatal(err)
	}
	if r, err := p.try("POST", "/v1/connect/tokens", body(token), asJSON); err == nil {
		t.Errorf("an answer: %s", r.body)
	}
	if err := p.SetMode("reusable"); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, p.exchange(token), 200)
	if err := p.SetMode(); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, p.exchange(token), 400)
	p.Set(func(s *Settings) { s.AfterRedeem = "error" })
	wantStatus(t, p.exchange(p.token("user-1", ada)), 500)
	if n := p.Counts(); n.Redeemed != 3 {
		t.Errorf("counts %+v", n)
	}
	if err := p.SetMode("down"); err != nil {
		t.Fatal(err)
	}
	if r, err := p.try("POST", "/v1/connect/tokens", body("x"), asJSON); err == nil {
		t.Errorf("an answer: %s", r.body)
	}
}

// The gates: before the token is redeemed, and after.
func TestSlow(t *testing.T) {
	p := newPlatform(t)
	for mode, redeemed := range map[string]int{"slow": 0, "slow_after": 1} {
		p.Reset()
		if err := p.SetMode(mode); err != nil {
			t.Fatal(err)
		}
		token, done := p.token("user-1", ada), make(chan response, 1)
		go func() {
			r, _ := p.try("POST", "/v1/connect/tokens", body(token), asJSON)
			done <- r
		}()
		deadline := time.Now().Add(10 * time.Second)
		for n := p.Counts(); n.InFlight != 1 || n.Redeemed != redeemed; n = p.Counts() {
			if time.Now().After(deadline) {
				t.Fatalf("%s: counts %+v", mode, n)
			}
			time.Sleep(time.Millisecond)
		}
		select {
		case r := <-done:
			t.Fatalf("%s: answered %s", mode, r.body)
		default:
		}
		if err := p.SetMode(); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, <-done, 200)
	}
}

// A returning person whose access token is another now.
func TestAccessTokenChanges(t *testing.T) {
	p := newPlatform(t)
	before := p.access("user-1", ada)
	if err := p.SetMode("access_token_changes"); err != nil {
		t.Fatal(err)
	}
	after := p.access("user-1", ada)
	wantStatus(t, p.do("GET", "/v1/human/profile", "", "Authorization: Bearer "+before), 401)
	wantStatus(t, p.do("GET", "/v1/human/profile", "", "Authorization: Bearer "+after), 200)
}

// A misspelt switch must not let a test pass.
func TestSetPanics(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"preset":         func(s *Settings) { s.Preset = "x" },
		"echo":           func(s *Settings) { s.Echo = "x" },
		"form":           func(s *Settings) { s.UserCode = "x" },
		"answer":         func(s *Settings) { s.Answer = "x" },
		"after redeem":   func(s *Settings) { s.AfterRedeem = "x" },
		"place":          func(s *Settings) { s.TokenIn = []string{"query"} },
		"good status":    func(s *Settings) { s.ExchangeStatus = 400 },
		"refusal status": func(s *Settings) { s.TokenRefusal = 200 },
		"echoing area":   func(s *Settings) { s.EchoRequest = map[string]int{"x": 500} },
		"echoing status": func(s *Settings) { s.EchoRequest = map[string]int{"data": 1} },
		"outage":         func(s *Settings) { s.Outages = control.Outages{"x": {}} },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			New(Options{}).Set(change)
		}()
	}
}
