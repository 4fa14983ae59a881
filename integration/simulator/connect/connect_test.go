// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// The six steps of the source document: from the person's consent to their data.
func TestExchange(t *testing.T) {
	p := newPlatform(t)
	r := p.exchange(p.token("user-1", ada))
	wantStatus(t, r, 200)
	wantFields(t, r, map[string]any{"UserCode": ada.UserCode, "clientUserId": "user-1", "clientId": clientID})
	access, public := r.json["accessToken"].(string), r.json["publicToken"]
	if len(r.json) != 5 || access == "" || public == "" {
		t.Errorf("answer %s", r.body)
	}
	me := p.do("GET", "/v1/me", "", "Authorization: Bearer "+access)
	wantStatus(t, me, 200)
	wantFields(t, me, map[string]any{"UserCode": ada.UserCode, "clientUserId": "user-1", "clientId": clientID})

	// A returning person, by a form: the same access token, another public one.
	form := url.Values{"specialToken": {p.token("user-1", ada)}, "clientId": {clientID}, "clientSecret": {secret}}
	again := p.do("POST", "/v1/connect/tokens", form.Encode(), asForm)
	wantStatus(t, again, 200)
	if again.json["accessToken"] != access || again.json["publicToken"] == public {
		t.Errorf("again %s after %s", again.body, r.body)
	}
	recovered := p.do("POST", "/v1/connect/publictokens", `{"UserCode":"uc-ada","clientId":"app-one","clientSecret":"`+secret+`"}`, asJSON)
	wantStatus(t, recovered, 200)
	wantFields(t, recovered, map[string]any{"publicToken": again.json["publicToken"]})

	if n := p.Counts(); n.Exchanges != 2 || n.Redeemed != 2 || n.Refusals != 0 || n.Recoveries != 1 || n.Verifies != 1 || n.InFlight != 0 {
		t.Errorf("counts %+v", n)
	}
	if p.access("user-2", ben) == access {
		t.Error("two people have one access token")
	}
}

// The vendor's words, and an application's own ones.
func TestNames(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) { s.Preset, s.ExchangeStatus = HumanConnectV1, 201 })
	token := p.token("user-1", ada)
	object, _ := json.Marshal(p.Handover(token))
	if string(object) != `{"clientId":"app-one","humanId":"uc-ada","sessionToken":"`+token+`"}` {
		t.Errorf("the widget hands over %s", object)
	}
	fields := func(human string) string {
		return `{"humanId":"` + human + `","clientId":"app-one","clientSecret":"` + secret + `","sessionToken":"` + token + `"}`
	}
	wantStatus(t, p.do("POST", "/v1/connect/tokens", fields("uc-ben"), asJSON), 400)
	r := p.do("POST", "/v1/connect/tokens", fields("uc-ada"), asJSON)
	wantStatus(t, r, 201)
	wantFields(t, r, map[string]any{"humanId": "uc-ada"})

	p.Set(func(s *Settings) {
		s.Preset, s.PlainToken = DeveloperConsole, true
		s.Names = Names{Token: "ticket", Account: "member.id", Access: "key", User: "ref", Client: "app", Secret: "pass", Public: "pub"}
	})
	token = p.token("user-1", ada)
	if p.Handover(token) != token {
		t.Errorf("the widget hands over %v", p.Handover(token))
	}
	r = p.do("POST", "/v1/connect/tokens", `{"ticket":"`+token+`","app":"app-one","pass":"`+secret+`"}`, asJSON)
	wantStatus(t, r, 201)
	wantFields(t, r, map[string]any{"member.id": "uc-ada", "ref": "user-1", "app": "app-one"})
	if r.json["key"] == nil || r.json["pub"] == nil {
		t.Errorf("answer %s", r.body)
	}
}

// What no client may get away with.
func TestRefusals(t *testing.T) {
	p := newPlatform(t)
	expired := p.token("user-1", ada)
	p.pass(10 * time.Minute)
	used := p.token("user-1", ada)
	wantStatus(t, p.exchange(used), 200)
	fresh := p.token("user-1", ada)
	theirs, err := p.Connect(otherID, "user-1", ada.UserCode)
	if err != nil {
		t.Fatal(err)
	}
	good := body(fresh)
	for name, tt := range map[string]struct {
		body, kind string
		status     int
		reason     string
	}{
		"wrong secret":         {body(fresh, "clientSecret", "x"), asJSON, 401, "client_rejected"},
		"no secret":            {body(fresh, "clientSecret", ""), asJSON, 401, "client_rejected"},
		"unknown client":       {body(fresh, "clientId", "x"), asJSON, 401, "client_rejected"},
		"another application":  {body(theirs), asJSON, 400, "token_of_another_application"},
		"unknown token":        {body("st-x"), asJSON, 400, "token_unknown"},
		"no token":             {body(""), asJSON, 400, "token_missing"},
		"used":                 {body(used), asJSON, 400, "token_used"},
		"expired":              {body(expired), asJSON, 400, "token_expired"},
		"of another account":   {body(fresh, "UserCode", ben.UserCode), asJSON, 400, "token_of_another_account"},
		"token is an array":    {`{"specialToken":["x"]}`, asJSON, 400, "body_invalid"},
		"array":                {"[" + good + "]", asJSON, 400, "body_invalid"},
		"null":                 {"null", asJSON, 400, "body_invalid"},
		"two objects":          {good + good, asJSON, 400, "body_invalid"},
		"nothing":              {"", asJSON, 400, "body_invalid"},
		"form with two tokens": {"specialToken=a&specialToken=b", asForm, 400, "body_invalid"},
		"broken form":          {"%zz", asForm, 400, "body_invalid"},
		"XML":                  {good, "Content-Type: text/xml", 415, "media_type_unknown"},
		"1 MB":                 {body(strings.Repeat("x", 1<<20)), asJSON, 413, "body_too_large"},
	} {
		r := p.do("POST", "/v1/connect/tokens", tt.body, tt.kind)
		if r.StatusCode != tt.status || p.last().Reason != tt.reason || strings.Contains(r.body, secret) {
			t.Errorf("%s: status %d, %s: %s", name, r.StatusCode, p.last().Reason, r.body)
		}
	}
	wantStatus(t, p.do("GET", "/v1/connect/tokens?"+url.Values{"specialToken": {fresh}}.Encode(), ""), 405)
	if n := p.Counts(); n.WrongSecrets != 3 || n.Redeemed != 1 {
		t.Errorf("counts %+v", n)
	}
	p.Set(func(s *Settings) { s.ClientRefusal, s.TokenRefusal = 403, 422 })
	wantStatus(t, p.exchange(fresh, "clientSecret", "x"), 403)
	wantStatus(t, p.exchange("st-x"), 422)
	// None of that has used the token up.
	wantStatus(t, p.exchange(fresh), 200)
	for _, bad := range []string{body("", "UserCode", "uc-ben"), body("", "UserCode", "nobody"), "{}"} {
		if r := p.do("POST", "/v1/connect/publictokens", bad, asJSON); r.StatusCode < 400 {
			t.Errorf("recovery of %s: %s", bad, r.body)
		}
	}
}

// Whatever happens at once, a token counts once.
func TestExchangedOnce(t *testing.T) {
	p := newPlatform(t)
	token := p.token("user-1", ada)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { _, _ = p.try("POST", "/v1/connect/tokens", body(token), asJSON) })
	}
	wg.Wait()
	if n := p.Counts(); n.Redeemed != 1 || n.Refusals != 49 || p.ExchangesOf(token) != 50 {
		t.Errorf("%d calls, counts %+v", p.ExchangesOf(token), n)
	}
	p.Reset()
	if n := p.Counts(); n.Exchanges != 0 || p.ExchangesOf(token) != 0 || len(p.Records()) != 0 {
		t.Errorf("reset left %+v", n)
	}
}

// The records and the console show secrets: nobody beyond this machine may read
// them, and no web page may drive the simulator of its visitor.
func TestControlIsLocal(t *testing.T) {
	p := newPlatform(t)
	for _, target := range []string{"/_simulator/reset", "//_simulator//reset", "/console/modes", "/x/../console/secret"} {
		for name, change := range map[string]func(r *http.Request){
			"from elsewhere":  func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1234" },
			"without address": func(r *http.Request) { r.RemoteAddr = "@" },
			"another site":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"another origin":  func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "http://127.0.0.1"+target, nil)
			r.RemoteAddr = "127.0.0.1:1234"
			change(r)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Errorf("%s, %s: status %d", target, name, w.Code)
			}
		}
	}
}

// A load test must not fill the memory with records.
func TestRecordsAreBounded(t *testing.T) {
	p := New(Options{})
	for range control.MaxRecords + 10 {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/x", nil))
	}
	if all := p.Records(); len(all) != control.MaxRecords || all[0].Sequence != 11 {
		t.Errorf("%d records from %d", len(all), all[0].Sequence)
	}
}
