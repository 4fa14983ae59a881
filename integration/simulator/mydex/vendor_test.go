// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// oldHeaders are those of the older form, with a fresh short access token.
func (p *platform) oldHeaders(bearer string) []string {
	p.t.Helper()
	var short string
	r := p.do("GET", p.pdx+"/access-token/"+nid, "")
	if err := json.Unmarshal([]byte(r.body), &short); err != nil {
		p.t.Fatalf("%v in %s", err, r.body)
	}
	return []string{bearer, "Short-Access-Token: " + short, "Authentication: " + Hash(short+token)}
}

// TestK9_Registration protects the flow of the vendor's first example: a MydexID
// is registered, its member connects by the link, and it is nobody else's.
func TestK9_Registration(t *testing.T) {
	p := newPlatform(t)
	p.SetLoginURL(p.identity)
	bearer := p.bearer()
	register := func(change map[string]any, header ...string) response {
		t.Helper()
		fields := map[string]any{"mydexid": "Starling7", "email": "starling@example.org", "password": "a-long-password"}
		maps.Copy(fields, change)
		if header == nil {
			header = p.oldHeaders(bearer)
		}
		return p.do("POST", p.pdx+"/api/pds", setupBody(fields), header...)
	}
	before := len(p.Members())
	for name, tt := range map[string]struct {
		change map[string]any
		header []string
		status int
	}{
		"no name":               {map[string]any{"mydexid": ""}, nil, 400},
		"sign in the name":      {map[string]any{"mydexid": "Star ling"}, nil, 400},
		"taken":                 {map[string]any{"mydexid": "robin101"}, nil, 400},
		"no address":            {map[string]any{"email": "starling"}, nil, 400},
		"short password":        {map[string]any{"password": "1234567"}, nil, 400},
		"password is the name":  {map[string]any{"password": "starling7"}, nil, 400},
		"another connection":    {map[string]any{"connection_nid": "1"}, nil, 400},
		"nowhere to return to":  {map[string]any{"return_to": ""}, nil, 400},
		"without a bearer":      {nil, p.oldHeaders(bearer)[1:], 401},
		"without a short token": {nil, []string{bearer}, 401},
	} {
		if r := register(tt.change, tt.header...); r.StatusCode != tt.status {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
		}
	}
	if len(p.Members()) != before {
		t.Fatal("somebody is registered whose registration was refused")
	}
	r := register(nil)
	var link string
	if err := json.Unmarshal([]byte(r.body), &link); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	if strings.Contains(r.body, "password") {
		t.Error("the password is repeated")
	}
	member, ok := p.people.byMydexID("Starling7")
	if !ok {
		t.Fatal("nobody is registered")
	}
	p.agree(link, member)
	if c, ok := p.Connection(member.UID); !ok || c.MydexID != "Starling7" {
		t.Errorf("connected: %+v", c)
	}
	if r := register(nil); r.StatusCode != http.StatusBadRequest {
		t.Errorf("registered twice: %d", r.StatusCode)
	}
}

// TestK9_ARowIsUpdated protects the flow of the vendor's last examples: the first
// row of a member's dataset is row 1, whoever wrote before, and is updated by
// JSON and by the form that one of them sends.
func TestK9_ARowIsUpdated(t *testing.T) {
	p := newPlatform(t)
	r, w := newSession(t, p, robin.UID), newSession(t, p, wren.UID)
	const rows, path = "dataset=ds_referrals", "/api/pds/transaction"
	for _, s := range []*session{w, r} {
		wantBody(t, s.a("POST", path, rows+"&uid="+s.UID, `{"ds_referrals":{"type":"signpost","status":"Referred"}}`), `{"success":1,"last_insert_id":1}`)
	}
	status := func() string {
		res := r.a("GET", path+"/4020.json", rows, "")
		return res.json["ds_referrals"].(map[string]any)["instance_0"].(map[string]any)["status"].(map[string]any)["value"].(string)
	}
	wantBody(t, r.a("PUT", path+"/4020.json", rows+"&id=1", `{"status":"complete","type":"signpost"}`), `{"success":1}`)
	if status() != "complete" {
		t.Errorf("by JSON: %s", status())
	}
	wantBody(t, r.a("PUT", path+"/4020.json", rows+"&uid=4020&id=1", `status=In+Progress&type=signpost`), `{"success":1}`)
	if status() != "In Progress" {
		t.Errorf("by a form: %s", status())
	}
	p.FillSample(wren)
	if got := w.a("GET", path+"/4021.json", rows+"&filters[id][operator]=%3D&filters[id][value]=2", ""); !strings.Contains(got.body, "Walking group") {
		t.Errorf("the sample: %s", got.body)
	}
}

// TestK9_TimelineHasTheSpecificationsForms protects clients that were generated
// from the vendor's specification.
func TestK9_TimelineHasTheSpecificationsForms(t *testing.T) {
	p := newPlatform(t)
	r := newSession(t, p, robin.UID, AllScopes()...)
	start := time.Date(2026, 3, 26, 16, 15, 0, 0, time.UTC).Unix()
	wantStatus(t, r.b("POST", "/referrals/self-refer", "", `{"service_id":12,"service_name":"Walks"}`), 200)
	wantStatus(t, r.b("POST", "/secure-messages/receive", "", `{"message_content":"Hi","conversation_id":"referral-1","message_from":"x"}`), 200)
	wantStatus(t, r.b("POST", "/calendar/add-event", "", fmt.Sprintf(`{"title":"Tea","start_timestamp":%d,"end_timestamp":%d,"status":"CONFIRMED"}`, start, start+5400)), 200)
	iso := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	seen := map[any]map[string]any{}
	for _, item := range r.b("GET", "/timeline", "", "").json["timeline"].([]any) {
		item := item.(map[string]any)
		seen[item["feature_block"]] = item
		_, number := item["id"].(float64)
		block, text := item["feature_block_id"].(string)
		_, moment := item["item_timestamp"].(float64)
		at, _ := item["start_timestamp"].(string)
		if !number || !text || !moment || !iso.MatchString(at) {
			t.Errorf("in the list: %v", item)
		}
		one := r.b("GET", "/timeline/single-item", "feature_block="+item["feature_block"].(string)+"&feature_block_id="+block, "").json["timeline_item"].(map[string]any)
		if _, number := one["feature_block_id"].(float64); !number || !regexp.MustCompile(`^\d{1,2}(st|nd|rd|th) \w+ \d{4}, \d{1,2}:\d\d (am|pm)$`).MatchString(one["start_timestamp"].(string)) {
			t.Errorf("by itself: %v", one)
		}
		if one["feature_block"] == "calendar" && (one["start_timestamp"] != "26th March 2026, 4:15 pm" || one["duration_string"] != "1 hour 30 minutes") {
			t.Errorf("by itself: %v", one)
		}
		if one["feature_block"] == "referrals" && (one["type"] != "Self Referred" || one["service_id"] != 12.0) {
			t.Errorf("by itself: %v", one)
		}
	}
	if len(seen) != 3 || seen["calendar"]["start_timestamp"] != "2026-03-26T16:15:00Z" || seen["calendar"]["end_timestamp"] != "2026-03-26T17:45:00Z" || seen["calendar"]["duration_of_event"] != 1.5 {
		t.Errorf("%v", seen)
	}
	for _, path := range []string{"/referrals/read-all", "/referrals/read-single"} {
		if res := r.b("GET", path, "id=1", ""); !strings.Contains(res.body, `"type":"Self Referred"`) {
			t.Errorf("%s: %s", path, res.body)
		}
	}
	for day, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 22: "22nd", 23: "23rd", 30: "30th"} {
		if got := spoken(time.Date(2026, 1, day, 0, 5, 0, 0, time.UTC).Unix()); got != want+" January 2026, 12:05 am" {
			t.Errorf("%q", got)
		}
	}
}

// TestK9_Members protects the calls of the identity service about members, as
// its SDK makes them.
func TestK9_Members(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) { s.Scopes = AllScopes() })
	bearer := p.bearer(ScopeIdentifiers, ScopeMyAccount, ScopeScotAccount)
	ask := func(method, path, body string) response {
		return p.do(method, p.identity+"/members/"+path, body, bearer)
	}
	wantBody(t, ask("GET", "myaccount/"+robin.MyAccountSVT(), ""), `"Robin101"`)
	wantBody(t, ask("GET", "scotaccount/"+wren.ScotAccountSub(), ""), `"`+wren.MydexID+`"`)
	wantStatus(t, p.do("GET", p.identity+"/members/myaccount/"+robin.MyAccountSVT(), "", p.bearer()), 401)
	wantStatus(t, p.do("GET", p.identity+"/members/myaccount/"+robin.MyAccountSVT(), ""), 401)
	for _, path := range []string{"myaccount/nobody", "scotaccount/" + robin.MyAccountSVT()} {
		if r := ask("GET", path, ""); r.StatusCode != 400 || r.json["message"] != "Member does not exist." || r.json["success"] != 0.0 {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.body)
		}
	}
	wantStatus(t, ask("GET", "elsewhere/x", ""), 404)
	wantStatus(t, ask("POST", "myaccount/x", ""), 405)

	auth := `"app_url":"https://example.org","client_id":"c","con_nid":"` + nid + `","org_id":"o","project_id":"p","item_id":"i","type":"identifier"`
	notified := ask("POST", "notify", `{"identifier_auth":{"parent_uuid":"`+robin.Identifier()+`",`+auth+`},"message_email":"Hello"}`)
	if wantStatus(t, notified, 200); notified.json["success"] != 1.0 || notified.json["identifier"] == robin.Identifier() {
		t.Errorf("%s", notified.body)
	}
	wantBody(t, ask("PATCH", "notify/status", `{"identifier":"`+notified.json["identifier"].(string)+`"}`), notified.body)
	wantStatus(t, ask("PATCH", "notify/status", `{"identifier":"`+robin.Identifier()+`"}`), 400)
	wantStatus(t, ask("POST", "notify", `{"identifier_auth":{"parent_uuid":"`+robin.Identifier()+`"},"message_email":"Hello"}`), 400)
	wantStatus(t, ask("POST", "notify", `{"identifier_auth":{"parent_uuid":"550e8400-e29b-41d4-a716-446655440000",`+auth+`},"message_email":"Hello"}`), 400)

	about := `{"identifier":"` + robin.Identifier() + `",` + auth
	status := func() any { return ask("POST", "invite/status", about+"}").json["status"] }
	if r := ask("POST", "invite/status", about+"}"); r.json["success"] != 0.0 {
		t.Errorf("before there is one: %s", r.body)
	}
	wantStatus(t, ask("POST", "invite", about+"}"), 400) // without a message
	invited := ask("POST", "invite", about+`,"message_email":"Welcome"}`)
	if wantStatus(t, invited, 200); invited.json["parent_uuid"] != robin.Identifier() || invited.json["type"] != "identifier" || status() != "pending" {
		t.Errorf("%s, then %v", invited.body, status())
	}
	code := invited.json["invite_url_code"].(string)
	wantBody(t, ask("GET", "invite/"+code, ""), invited.body)
	wantStatus(t, ask("GET", "invite/none", ""), 400)
	p.pass(inviteLifetime)
	bearer = p.bearer(ScopeIdentifiers)
	if status() != "expired" {
		t.Errorf("a week later it is %v", status())
	}
	if !p.UseInvite(code) || p.UseInvite("none") || status() != "used" {
		t.Errorf("used, it is %v", status())
	}
}
