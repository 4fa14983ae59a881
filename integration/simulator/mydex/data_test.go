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
	memos := func(query string) (list []string) {
		t.Helper()
		res := r.a("GET", "/api/pds/transaction/4020.json", rows+query, "")
		wantStatus(t, res, 200)
		all := res.json["ds_referrals"].(map[string]any)
		for i := range len(all) {
			f := all[fmt.Sprintf("instance_%d", i)].(map[string]any)
			list = append(list, f["id"].(map[string]any)["value"].(string)+f["memo"].(map[string]any)["value"].(string))
		}
		return list
	}
	for query, want := range map[string][]string{
		"": {"1a", "2B", "3c"},
		"&filters[id][operator]=%3E%3D&filters[id][value]=2": {"2B", "3c"},
		"&filters[id][operator]=>=&filters[id][value]=2":     {"2B", "3c"},
		"&filters[id][operator]>=&filters[id][value]=2":      {"2B"}, // PHP loses the operator
		"&filters[memo][operator]==&filters[memo][value]=a":  {"1a"},
		"&filters[memo][operator]=!=&filters[memo][value]=a": {"2B", "3c"},
		"&filters[none][value]=a":                            nil,
	} {
		if got := memos(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
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
		"operator":            r.a("GET", "/api/pds/transaction/4020.json", rows+"&filters[id][operator]=like", ""),
		"filters":             r.a("GET", "/api/pds/transaction/4020.json", rows+"&filters=x", ""),
	} {
		if res.StatusCode != 400 || res.json["success"] != 0.0 || res.json["message"] == "" {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.body)
		}
	}
	if got := memos(""); len(got) != 3 {
		t.Errorf("a refused write left something: %v", got)
	}
}

// Every feature block, written and read back, with the loose types of the platform.
func TestBlocks(t *testing.T) {
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

	appointment := strings.Replace(event, "{", `{"context":"referral","context_id":7,`, 1)
	wantBody(t, r.b("POST", "/calendar/add-appointment", "", appointment), `{"success":1,"last_insert_id":2}`)
	contains(r.b("GET", "/calendar/get-appointments", "context=referral&context_id=7", ""), `"id":"2"`, `"context_name":"referral"`)
	wantBody(t, r.b("GET", "/calendar/get-appointments", "context=referral&context_id=8", ""), `{"appointments":[],"success":1}`)

	wantBody(t, r.b("POST", "/referrals/self-refer", "", `{"service_id":12,"service_name":"Walks","memo":"m"}`), `{"success":1,"last_insert_id":3}`)
	wantBody(t, r.b("PUT", "/referrals/update-status", "", `{"id":3,"status":"In Progress"}`), `{"success":1}`)
	contains(r.b("GET", "/referrals/read-all", "", ""), `"id":3`, `"service_id":12`, `"status":"In Progress"`)
	contains(r.b("GET", "/referrals/read-single", "id=3", ""), `"referral":{`, `"memo":"m"`)
	contains(r.b("POST", "/referrals/add", "", `{"referral_data":{"service_identifier":"x"}}`), `"referral_id":4`, `"status":"complete"`)

	wantBody(t, r.b("POST", "/secure-messages/send", "", `{"message_content":"Hello","conversation_id":"referral-3","message_to":"x"}`), `{"success":1,"last_insert_id":5}`)
	wantBody(t, r.b("POST", "/secure-messages/receive", "", `{"message_content":"Hi","conversation_id":"referral-3","message_from":"x"}`), `{"success":1,"last_insert_id":6}`)
	res := r.b("GET", "/secure-messages/conversation", "conversation_id=referral-3", "")
	if contains(res, `"Hello"`, `"Hi"`); res.json["success"] != nil {
		t.Errorf("success in %s", res.body)
	}
	contains(r.b("GET", "/timeline", "", ""), `"timeline":[`, `"feature_block":"referrals"`, `"feature_block":"secure_messages"`, `"feature_block_id":"5"`, `"feature_block":"calendar"`)
	contains(r.b("GET", "/timeline/single-item", "feature_block=secure_messages&feature_block_id=5", ""), `"timeline_item":{`, `"feature_block_id":5`)
	wantBody(t, w.b("GET", "/timeline", "", ""), `{"success":1,"timeline":[]}`)
	wantBody(t, r.b("POST", "/api/pds/add-measurements", "", `[{"measurement_type":"steps","measurement_value":1}]`), `{"success":1,"last_insert_id":7}`)

	for name, res := range map[string]response{
		"event without title": r.b("POST", "/calendar/add-event", "", `{"start_timestamp":1,"end_timestamp":1,"status":"CONFIRMED"}`),
		"event status":        r.b("POST", "/calendar/add-event", "", strings.Replace(event, "CONFIRMED", "MAYBE", 1)),
		"no context":          r.b("GET", "/calendar/get-appointments", "", ""),
		"service_id is text":  r.b("POST", "/referrals/self-refer", "", `{"service_id":"12"}`),
		"referral status":     r.b("PUT", "/referrals/update-status", "", `{"id":3,"status":"Done"}`),
		"another's referral":  w.b("GET", "/referrals/read-single", "id=3", ""),
		"another's item":      w.b("GET", "/timeline/single-item", "feature_block=referrals&feature_block_id=3", ""),
		"measurement object":  r.b("POST", "/api/pds/add-measurements", "", `{}`),
	} {
		if res.StatusCode != 400 || res.json["success"] != 0.0 {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.body)
		}
	}
}
