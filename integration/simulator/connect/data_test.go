// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func list(t *testing.T, r response) []map[string]any {
	t.Helper()
	wantStatus(t, r, 200)
	var all []map[string]any
	if err := json.Unmarshal([]byte(r.body), &all); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return all
}

// Everybody gets their own data, of the sources that they have connected.
func TestData(t *testing.T) {
	p := newPlatform(t)
	bearer := map[string]string{"uc-ada": "Authorization: Bearer " + p.access("user-1", ada), "uc-ben": "Authorization: Bearer " + p.access("user-2", ben)}
	bodies := map[string]bool{}
	for name, r := range resources {
		for _, account := range []Account{ada, ben} {
			answer := p.do("GET", "/v1/human/"+name, "", bearer[account.UserCode])
			all := list(t, answer)
			if len(all) == 0 || all[0]["UserCode"] != account.UserCode || all[0]["source"] != r.source || bodies[answer.body] {
				t.Errorf("%s of %s: %s", name, account.Name, answer.body)
			}
			bodies[answer.body] = true
			if got := p.last(); got.UserCode != account.UserCode || got.ClientID != clientID || got.Area != areaData {
				t.Errorf("record %+v", got)
			}
		}
	}
	wantFields(t, p.do("GET", "/v1/human/profile", "", bearer["uc-ben"]), map[string]any{"name": "Ben"})
	wantFields(t, p.do("GET", "/v1/human", "", bearer["uc-ben"]), map[string]any{"UserCode": "uc-ben", "clientUserId": "user-2"})
	if n := len(list(t, p.do("GET", "/v1/human/sources", "", bearer["uc-ada"]))); n != len(sources) {
		t.Errorf("%d sources", n)
	}
	p.store.sources(clientID, ada.UserCode, func(connected map[string]bool) { delete(connected, "city_lab") })
	if all := list(t, p.do("GET", "/v1/human/blood_glucose", "", bearer["uc-ada"])); len(all) != 0 {
		t.Errorf("of a source that is not connected: %v", all)
	}

	r := p.do("GET", "/v1/human/activities?limit=25&offset=30", "", bearer["uc-ben"])
	if all := list(t, r); len(all) != 25 || r.Header.Get("X-Total-Count") != "60" || r.Header.Get("Link") != "<"+p.base+`/v1/human/activities?limit=25&offset=55>; rel="next"` {
		t.Errorf("%d items, %v", len(all), r.Header)
	}
	if r := p.do("GET", "/v1/human/activities?offset=55", "", bearer["uc-ben"]); len(list(t, r)) != 5 || r.Header.Get("Link") != "" {
		t.Errorf("the last page: %v, %s", r.Header, r.body)
	}
	for path, status := range map[string]int{
		"/v1/human/activities?limit=x": 400, "/v1/human/activities?limit=0": 400, "/v1/human/activities?offset=-1": 400,
		"/v1/human/nothing": 404, "/v1/human/activities/x": 404, "/v1": 404,
		"//v1/x/..%2fhuman/profile": 200, // the reading that is worst for a proxy
	} {
		wantStatus(t, p.do("GET", path, "", bearer["uc-ben"]), status)
	}
	wantStatus(t, p.do("POST", "/v1/human/activities", "{}", bearer["uc-ben"], asJSON), 405)
}

// Where the API takes the access token, and what the records say of it.
func TestTokenPlaces(t *testing.T) {
	p := newPlatform(t)
	access := p.access("user-1", ada)
	const path = "/v1/human/profile"
	inBearer, inQuery, inHeader := "Authorization: Bearer "+access, path+"?access_token="+access, "X-Access-Token: "+access
	for name, tt := range map[string]struct {
		tokenIn []string
		target  string
		header  []string
		status  int
		seen    []string
	}{
		"bearer":               {nil, path, []string{inBearer}, 200, []string{"bearer"}},
		"query":                {nil, inQuery, nil, 200, []string{"query access_token"}},
		"twice":                {nil, inQuery, []string{inBearer}, 400, []string{"bearer", "query access_token"}},
		"two bearers":          {nil, path, []string{inBearer, inBearer}, 400, []string{"bearer"}},
		"header":               {[]string{"header X-Access-Token"}, path, []string{inHeader}, 200, []string{"header X-Access-Token"}},
		"header, not wanted":   {nil, path, []string{inHeader}, 401, []string{"header X-Access-Token"}},
		"bearer, not wanted":   {[]string{"query key"}, path, []string{inBearer}, 401, []string{"bearer"}},
		"another query":        {[]string{"query key"}, path + "?key=" + access, nil, 200, []string{"query key"}},
		"none":                 {nil, path, nil, 401, nil},
		"unknown":              {nil, path, []string{"Authorization: Bearer x"}, 401, []string{"bearer"}},
		"empty":                {nil, path + "?access_token=", []string{"Authorization: Bearer"}, 401, nil},
		"scheme in lower case": {nil, path, []string{"Authorization: bearer " + access}, 200, []string{"bearer"}},
		"basic":                {nil, path, []string{"Authorization: Basic " + access}, 401, nil},
	} {
		p.Set(func(s *Settings) {
			s.TokenIn = tt.tokenIn
			if tt.tokenIn == nil {
				s.TokenIn = []string{"bearer", "query access_token"}
			}
		})
		r := p.do("GET", tt.target, "", tt.header...)
		if got := p.last(); r.StatusCode != tt.status || !slices.Equal(got.Credentials, tt.seen) {
			t.Errorf("%s: status %d, seen in %q", name, r.StatusCode, got.Credentials)
		}
		if r.StatusCode == 401 && r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", name)
		}
	}
}

// A person who has withdrawn at the platform, and comes back.
func TestRevoke(t *testing.T) {
	p := newPlatform(t)
	before, others := p.access("user-1", ada), p.access("user-2", ben)
	p.Revoke(clientID, ada.UserCode)
	p.Revoke(clientID, "nobody")
	wantStatus(t, p.do("GET", "/v1/me", "", "Authorization: Bearer "+before), 401)
	wantStatus(t, p.do("GET", "/v1/me", "", "Authorization: Bearer "+others), 200)
	if n := p.Counts(); n.Unauthorized != 1 || p.last().Status != 200 {
		t.Errorf("counts %+v", n)
	}
	if after := p.access("user-1", ada); after == before {
		t.Error("the revoked token came back")
	}
}

// What the API says of a token, wrong as the exchange can be.
func TestVerifyModes(t *testing.T) {
	p := newPlatform(t)
	bearer := "Authorization: Bearer " + p.access("user-1", ada)
	for mode, want := range map[string]any{"verify_another": "another-user-1", "verify_none": nil, "echo_none": "user-1"} {
		if err := p.SetMode(mode); err != nil {
			t.Fatal(err)
		}
		wantFields(t, p.do("GET", "/v1/me", "", bearer), map[string]any{"clientUserId": want})
	}
	p.Set(func(s *Settings) { s.EchoRequest = map[string]int{areaData: 500} })
	if r := p.do("GET", "/v1/human/profile?access_token=x", "", bearer); r.StatusCode != 500 || !strings.Contains(r.body, bearer) {
		t.Errorf("status %d: %s", r.StatusCode, r.body)
	}
}

// Tests in other languages and the demo steer the simulator by these calls.
func TestControl(t *testing.T) {
	p := newPlatform(t)
	control := func(method, path, body string, status int) response {
		t.Helper()
		r := p.do(method, "/_simulator/"+path, body)
		wantStatus(t, r, status)
		return r
	}
	control("PATCH", "settings", `{"tokenLifetime":5,"echo":"none"}`, 200)
	if s := p.Settings(); s.TokenLifetime != 5 || s.Echo != "none" || s.ExchangeStatus != http.StatusOK {
		t.Errorf("settings %+v", s)
	}
	control("PATCH", "settings", `{"echo":"x"}`, 400)
	control("POST", "mode", `{"modes":[]}`, 204)
	if p.Settings().Echo != "" {
		t.Error("the mode stayed")
	}
	control("POST", "mode", `{"modes":["x"]}`, 400)
	r := control("POST", "connect", `{"clientId":"app-one","clientUserId":"u","userCode":"uc-ada"}`, 200)
	token, _ := r.json["specialToken"].(string)
	control("POST", "connect", `{"clientId":"x"}`, 400)
	control("POST", "connect", `{"clientId":"app-one","userCode":"x"}`, 400)
	wantStatus(t, p.exchange(token), 200)
	if r := control("POST", "exchanges", `{"token":"`+token+`"}`, 200); r.body != `{"exchanges":1}`+"\n" {
		t.Errorf("exchanges %s", r.body)
	}
	if r := control("GET", "connections", "", 200); !strings.Contains(r.body, `"clientUserId":"u"`) {
		t.Errorf("connections %s", r.body)
	}
	control("POST", "revoke", `{"clientId":"app-one","userCode":"uc-ada"}`, 204)
	if n := p.Connections(); len(n) != 1 || n[0].AccessToken != "" {
		t.Errorf("connections %+v", n)
	}
	if r := control("GET", "accounts", "", 200); !strings.Contains(r.body, `"name":"Ben"`) {
		t.Errorf("accounts %s", r.body)
	}
	var a Application
	_ = json.Unmarshal([]byte(control("POST", "application", `{"name":"Three"}`, 200).body), &a)
	if r := control("GET", "applications", "", 200); a.ClientID == "" || !strings.Contains(r.body, a.ClientSecret) {
		t.Errorf("%+v in %s", a, r.body)
	}
	control("POST", "application", `{"clientId":"app-one"}`, 400)
	control("POST", "application", `{"origins":["app.example.org"]}`, 400)
	if err := p.SetClientSecret(a.ClientID, "other"); err != nil || p.SetClientSecret("x", "") == nil {
		t.Error(err)
	}
	p.Unregister(a.ClientID)
	if len(p.Applications()) != 2 {
		t.Errorf("applications %+v", p.Applications())
	}
	if r := control("GET", "counts", "", 200); r.json["redeemed"] != json.Number("1") {
		t.Errorf("counts %s", r.body)
	}
	control("GET", "records", "", 200)
	control("POST", "reset", "", 204)
	control("GET", "nothing", "", 404)
}

func TestSampleAccounts(t *testing.T) {
	p := New(Options{Accounts: SampleAccounts(1000), Clock: func() time.Time { return time.Unix(0, 0) }})
	for _, a := range p.accounts.all {
		if err := a.Check(); err != nil {
			t.Fatal(err)
		}
	}
	if (&Account{}).Check() == nil {
		t.Error("an account without a code passes")
	}
}
