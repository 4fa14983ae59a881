// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// session is a connected member with a token for every route.
type session struct {
	*platform
	Connection
	bearer string
}

func newSession(t *testing.T, p *platform, uid string, routes ...string) *session {
	t.Helper()
	scopes := append([]string{ScopePDX}, routes...)
	p.Set(func(s *Settings) { s.Scopes = append(s.Scopes, routes...) })
	return &session{p, p.connect(uid), p.bearer(scopes...)}
}

// a calls in style A, b in style B; query is what the route wants beyond.
func (s *session) a(method, path, query, body string) response {
	s.t.Helper()
	return s.do(method, s.pdx+path+"?source_type=connection&con_id="+s.ConID+"&key="+s.Key+"&instance=0&"+query, body, s.bearer)
}

func (s *session) b(method, path, query, body string) response {
	s.t.Helper()
	return s.do(method, s.pdx+path+"?uid="+s.UID+"&con_id="+s.ConID+"&"+query, body, s.bearer, keyHeader(s.Connection))
}

func wantBody(t *testing.T, r response, want string) {
	t.Helper()
	if wantStatus(t, r, http.StatusOK); r.body != want {
		t.Errorf("%s %s: %s\nwant %s", r.Request.Method, r.Request.URL.Path, r.body, want)
	}
}

// What is written can be read, by its member alone, whatever the content type.
func TestDatasets(t *testing.T) {
	p := newPlatform(t)
	r, w := newSession(t, p, robin.UID), newSession(t, p, wren.UID)
	const access = `"access":{"r":{"a":"1","s":"A"},"w":{"a":"1","s":"A"}}`
	path, query := "/api/pds/pds/4020.json", "dataset=ds_personal_details"

	wantBody(t, r.a("GET", path, query, ""), `{"ds_personal_details":{}}`)
	wantStatus(t, r.a("PUT", path, query, `{"field_personal_fname":"Robin"}`), 400) // nothing to update
	wantBody(t, r.a("POST", path, query, `{"ds_personal_details":{"field_personal_fname":"Robin","n":1.50}}`), `{"success":1,"last_insert_id":1}`)
	wantBody(t, r.a("PUT", path, query, `{"field_personal_fname":"R <&>"}`), `{"success":1}`)
	wantBody(t, r.a("GET", path, query, ""),
		`{"ds_personal_details":{"instance_0":{"field_personal_fname":{"value":"R <&>",`+access+`},"n":{"value":1.50,`+access+`}}}}`)
	wantBody(t, r.a("GET", path, query+"&instance=1", ""), `{"ds_personal_details":{}}`)
	wantBody(t, r.a("GET", path, "dataset=ds_a+ds_b", ""), `{"ds_a":{},"ds_b":{}}`)
	wantBody(t, w.a("GET", "/api/pds/pds/4021.json", query, ""), `{"ds_personal_details":{}}`)

	rows := "dataset=ds_referrals"
	wantBody(t, r.a("POST", "/api/pds/transaction", rows+"&uid=4020", `{"ds_referrals":{"memo":"a","list":[1]}}`), `{"success":1,"last_insert_id":1}`)
	wantBody(t, r.a("POST", "/api/pds/transaction", rows+"&uid=4020", `{"ds_referrals":[{"memo":"b"},{"memo":"c"}]}`), `{"success":1,"last_insert_id":3}`)
	wantBody(t, r.a("PUT", "/api/pds/transaction/4020.json", rows+"&id=2", `{"memo":"B"}`), `{"success":1}`)
	memos := func() (list []string) {
		t.Helper()
		res := r.a("GET", "/api/pds/transaction/4020.json", rows, "")
		wantStatus(t, res, 200)
		all := res.json["ds_referrals"].(map[string]any)
		for i := range len(all) {
			f := all[fmt.Sprintf("instance_%d", i)].(map[string]any)
			list = append(list, f["id"].(map[string]any)["value"].(string)+f["memo"].(map[string]any)["value"].(string))
		}
		return list
	}
	if got := memos(); !slices.Equal(got, []string{"1a", "2B", "3c"}) {
		t.Errorf("%v", got)
	}

	for name, res := range map[string]response{
		"another dataset":     r.a("POST", path, query, `{"ds_referrals":{}}`),
		"two datasets":        r.a("POST", path, query, `{"ds_personal_details":{},"ds_referrals":{}}`),
		"no object":           r.a("POST", path, query, `{"ds_personal_details":[]}`),
		"a list":              r.a("PUT", path, query, `[]`),
		"no JSON":             r.a("PUT", path, query, `{a=b}`),
		"two values":          r.a("PUT", path, query, `{}{}`),
		"empty":               r.a("PUT", path, query, ""),
		"no such row":         r.a("PUT", "/api/pds/transaction/4020.json", rows+"&id=9", `{}`),
		"row without id":      r.a("PUT", "/api/pds/transaction/4020.json", rows, `{}`),
		"row is no object":    r.a("POST", "/api/pds/transaction", rows+"&uid=4020", `{"ds_referrals":[{},1]}`),
		"no rows":             r.a("POST", "/api/pds/transaction", rows+"&uid=4020", `{"ds_referrals":[]}`),
		"transaction, no uid": r.a("POST", "/api/pds/transaction", rows, `{"ds_referrals":{}}`),
	} {
		if res.StatusCode != 400 || res.json["success"] != 0.0 || res.json["message"] == "" {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.body)
		}
	}
	if got := memos(); len(got) != 3 {
		t.Errorf("a refused write left something: %v", got)
	}
}

// What is written to the calendar is read back, with the loose types of the platform.
func TestCalendar(t *testing.T) {
	p := newPlatform(t)
	scopes := AllScopes()
	r, w := newSession(t, p, robin.UID, scopes...), newSession(t, p, wren.UID, scopes...)
	contains := func(res response, parts ...string) {
		t.Helper()
		wantStatus(t, res, 200)
		for _, part := range parts {
			if !strings.Contains(res.body, part) {
				t.Errorf("%s: no %s in %s", res.Request.URL.Path, part, res.body)
			}
		}
	}
	event := `{"title":"Tea","start_timestamp":1700000000,"end_timestamp":1700003600,"status":"CONFIRMED"}`
	wantBody(t, r.b("POST", "/calendar/add-event", "", event), `{"success":1,"last_insert_id":1}`)
	contains(r.b("GET", "/calendar/get-events", "", ""), `"success":1`, `"events":[{`, `"id":"1"`, `"title":"Tea"`, `"start_timestamp":"1700000000"`)
	wantBody(t, w.b("GET", "/calendar/get-events", "", ""), `{"events":[],"success":1}`)
	wantBody(t, r.b("PUT", "/calendar/update-event", "", `{"id":"1","title":"Coffee"}`), `{"success":1}`)
	contains(r.b("GET", "/calendar/get-events", "", ""), `"title":"Coffee"`)
	wantStatus(t, w.b("PUT", "/calendar/update-event", "", `{"id":1,"title":"Mine"}`), 400)
	wantStatus(t, w.b("DELETE", "/calendar/delete-event", "", `{"id":1}`), 400)
	wantStatus(t, r.b("DELETE", "/calendar/delete-event", "id=1", ""), 400) // the ID is in the body
	wantBody(t, r.b("DELETE", "/calendar/delete-event", "", `{"id":1}`), `{"success":1}`)
	wantBody(t, r.b("GET", "/calendar/get-events", "", ""), `{"events":[],"success":1}`)

	for name, res := range map[string]response{
		"event without title": r.b("POST", "/calendar/add-event", "", `{"start_timestamp":1,"end_timestamp":1,"status":"CONFIRMED"}`),
		"event status":        r.b("POST", "/calendar/add-event", "", strings.Replace(event, "CONFIRMED", "MAYBE", 1)),
	} {
		if res.StatusCode != 400 || res.json["success"] != 0.0 {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.body)
		}
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
	if got := w.a("GET", path+"/4021.json", rows, ""); !strings.Contains(got.body, "Walking group") {
		t.Errorf("the sample: %s", got.body)
	}
}
