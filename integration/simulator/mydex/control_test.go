// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Tests in other languages and the demo steer the simulator by these calls, on
// whichever host they have at hand.
func TestControl(t *testing.T) {
	p := newPlatform(t)
	control := func(method, path, body string, status int) response {
		t.Helper()
		r := p.do(method, p.pdx+"/_simulator/"+path, body)
		wantStatus(t, r, status)
		return r
	}
	control("PATCH", "settings", `{"tokenLifetime":5,"callback":"held","outages":{"pdx":{"status":503}}}`, 200)
	if s := p.Settings(); s.TokenLifetime != 5 || s.Callback != "held" || s.CallbackCopies != 1 || s.Outages["pdx"].Status != 503 {
		t.Errorf("settings %+v", s)
	}
	for _, bad := range []string{
		`{"nothing":1}`, `[`, `{"tokenAnswer":"x"}`, `{"accessDenied":""}`, `{"callback":"x"}`, `{"callbackEncoding":"xml"}`, `{"callbackCopies":0}`,
		`{"callbackAuthentication":"x"}`, `{"callbackConnectionID":"x"}`, `{"memberRefusal":404}`, `{"outages":{"x":{}}}`, `{"outages":{"pdx":{"status":1}}}`, `{"tokenErrorStatus":1}`,
	} {
		if r := control("PATCH", "settings", bad, 400); r.json["message"] == "" {
			t.Errorf("%s: %s", bad, r.body)
		}
	}
	if r := control("GET", "settings", "", 200); r.json["tokenLifetime"] != 5.0 {
		t.Errorf("settings %s", r.body)
	}
	control("PATCH", "settings", `{"outages":null}`, 200)

	if r := control("GET", "members", "", 200); r.body != `[{"uid":"4020","mydexid":"Robin101"},{"uid":"4021","mydexid":"Wren102"}]`+"\n" {
		t.Errorf("members %s", r.body)
	}
	var c Connection
	_ = json.Unmarshal([]byte(control("POST", "connect", `{"uid":"4020"}`, 200).body), &c)
	bearer := p.bearer()
	wantStatus(t, p.do("GET", p.datasetURL(c), "", bearer), 200)
	_ = json.Unmarshal([]byte(control("POST", "rotate", `{"uid":"4020"}`, 200).body), &c)
	wantStatus(t, p.do("GET", p.datasetURL(c), "", bearer), 200)
	if r := control("GET", "connections", "", 200); !strings.Contains(r.body, c.Key) {
		t.Errorf("connections %s", r.body)
	}
	control("POST", "withdraw", `{"uid":"4020"}`, 204)
	wantStatus(t, p.do("GET", p.datasetURL(c), "", bearer), 401)
	control("POST", "rotate", `{"uid":"4020"}`, 400)
	control("POST", "connect", `{"uid":"1"}`, 400)
	control("POST", "revoke", "", 204)
	wantStatus(t, p.do("GET", p.datasetURL(p.connect(robin.UID)), "", bearer), 401)

	p.agree(p.link(nil), robin)
	if r := control("POST", "deliver", "", 200); !strings.Contains(r.body, `"kind":"connect"`) {
		t.Errorf("delivered %s", r.body)
	}
	control("POST", "callback", `{"url":"`+p.subscriber.url+`?b"}`, 204)
	if r := control("POST", "notify", `{"uid":"4021","message":"m"}`, 200); r.json["status"] != 200.0 || !strings.HasSuffix(r.json["url"].(string), "?b") {
		t.Errorf("notified %s", r.body)
	}
	if r := control("GET", "deliveries", "", 200); strings.Count(r.body, `"sequence"`) != 2 {
		t.Errorf("deliveries %s", r.body)
	}

	var records []Record
	_ = json.Unmarshal([]byte(control("GET", "records", "", 200).body), &records)
	if len(records) != len(p.Records()) || len(records) == 0 || records[0].Role != "op" {
		t.Errorf("%d records", len(records))
	}
	_ = json.Unmarshal([]byte(control("GET", "records?after=2", "", 200).body), &records)
	if records[0].Sequence != 3 {
		t.Errorf("after 2: %d", records[0].Sequence)
	}
	control("GET", "records?after=x", "", 400)
	if r := control("GET", "counts", "", 200); r.json["unauthorized"] != 2.0 || r.json["deliveries"] != 2.0 {
		t.Errorf("counts %s", r.body)
	}
	control("POST", "reset", "", 204)
	if len(p.Records()) != 0 || p.Counts().PDX != 0 || len(p.Deliveries()) != 0 {
		t.Error("reset left something")
	}
	control("GET", "nothing", "", 404)
	for _, base := range []string{p.op, p.identity} {
		wantStatus(t, p.do("GET", base+"/_simulator/counts", ""), 200)
	}
}

// The records hold secrets: nobody beyond this machine may read them, and no
// web page may drive the simulator of its visitor.
func TestControlIsLocal(t *testing.T) {
	p := newPlatform(t)
	for name, change := range map[string]func(*http.Request){
		"from elsewhere":    func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1234" },
		"without address":   func(r *http.Request) { r.RemoteAddr = "@" },
		"another site":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another origin":    func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"host via a prefix": func(r *http.Request) { r.URL.Path = "//_simulator//reset"; r.RemoteAddr = "192.0.2.1:1" },
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "http://127.0.0.1/_simulator/reset", nil)
		r.RemoteAddr = "127.0.0.1:1234"
		change(r)
		for _, h := range []http.Handler{p.Mydex, p.OP(), p.PDX(), p.Identity()} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Errorf("%s: status %d", name, w.Code)
			}
		}
	}
}

// A misspelt switch must not let a test pass.
func TestSetPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(Options{}).Set(func(s *Settings) { s.Callback = "later" })
}

// A load test must not fill the memory with records.
func TestRecordsAreBounded(t *testing.T) {
	m := New(Options{})
	for range control.MaxRecords + 10 {
		m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/x", strings.NewReader("")))
	}
	all := m.Records()
	if len(all) != control.MaxRecords || all[0].Sequence != 11 {
		t.Errorf("%d records from %d", len(all), all[0].Sequence)
	}
}

func TestSampleMembers(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range SampleMembers(1000) {
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		seen[p.UID], seen[p.MydexID] = true, true
	}
	if len(seen) != 2000 {
		t.Errorf("%d names", len(seen))
	}
	for _, bad := range []Member{{}, {UID: "1"}, {MydexID: "a"}, {UID: "x", MydexID: "a"}} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}
