// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// Tests in other languages and the demo steer the simulator by these calls.
func TestControl(t *testing.T) {
	p := newPlatform(t)
	token := p.participantToken(alice.ID)
	service := p.serviceToken()
	const target = "/api/v1/delegated/participant"

	r := p.call("PATCH", "/_simulator/settings", "", `{"participantTokenLifetime":155,"outages":{"admin":{"status":503}}}`)
	wantStatus(t, r, 200)
	if s := p.Settings(); s.ParticipantTokenLifetime != 155 || s.ServiceTokenLifetime != 300 || s.Outages["admin"].Status != 503 {
		t.Errorf("settings %+v", s)
	}
	wantStatus(t, p.call("GET", adminPath(""), service, ""), 503)
	wantStatus(t, p.call("PATCH", "/_simulator/settings", "", `{"outages":null}`), 200)
	wantStatus(t, p.call("GET", adminPath(""), service, ""), 200)
	for _, bad := range []string{`{"nothing":1}`, `{"tokenAnswer":"nothing"}`, `{"adminQuota":"x"}`, `[`} {
		r := p.call("PATCH", "/_simulator/settings", "", bad)
		if wantStatus(t, r, 400); r.json["message"] == "" {
			t.Errorf("%s: %s", bad, r.body)
		}
	}
	if r := p.call("GET", "/_simulator/settings", "", ""); r.json["participantTokenLifetime"] != 155.0 {
		t.Errorf("settings: %s", r.body)
	}

	wantStatus(t, p.call("GET", target, token, ""), 200)
	wantStatus(t, p.call("POST", "/_simulator/revoke", "", fmt.Sprintf(`{"participantID":"%s"}`, bob.ID)), 204)
	wantStatus(t, p.call("GET", target, token, ""), 200)
	wantStatus(t, p.call("POST", "/_simulator/revoke", "", `{"participantID":""}`), 204)
	wantStatus(t, p.call("GET", target, token, ""), 401)
	wantStatus(t, p.call("POST", "/_simulator/revoke-service", "", ""), 204)
	wantStatus(t, p.call("GET", adminPath(""), service, ""), 401)

	records := listOf(t, p.call("GET", "/_simulator/records", "", ""), "")
	if got := len(p.Records()); len(records) != got {
		t.Errorf("%d records, want %d", len(records), got)
	}
	last := records[len(records)-1]
	after := fmt.Sprintf("%.0f", last["sequence"].(float64)-1)
	if got := listOf(t, p.call("GET", "/_simulator/records?after="+after, "", ""), ""); len(got) != 1 || got[0]["sequence"] != last["sequence"] {
		t.Errorf("after %s: %v", after, got)
	}
	if r := p.call("GET", "/_simulator/counts", "", ""); r.json["unauthorized"] != 2.0 || r.json["serviceTokens"] != 2.0 {
		t.Errorf("counts: %s", r.body)
	}
	wantStatus(t, p.call("POST", "/_simulator/reset", "", ""), 204)
	if c := p.Counts(); len(p.Records()) != 0 || c.ServiceTokens != 0 {
		t.Errorf("after reset: %d records, counts %+v", len(p.Records()), c)
	}
	wantStatus(t, p.call("GET", target, token, ""), 401)
	if got := p.Records(); len(got) != 1 || got[0].Sequence <= int64(last["sequence"].(float64)) {
		t.Errorf("the numbers did not go on: %+v", got)
	}
	wantStatus(t, p.call("GET", "/_simulator/nothing", "", ""), 404)
}

// The records hold tokens: nobody beyond this machine may read them, and no
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
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}

// A load test must not fill the memory with records.
func TestRecordsAreBounded(t *testing.T) {
	m := NewMyDataHelps(Options{Account: account, ProjectID: project})
	for range control.MaxRecords + 10 {
		m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/x", strings.NewReader("")))
	}
	all := m.Records()
	if len(all) != control.MaxRecords || all[0].Sequence != 11 || all[len(all)-1].Sequence != control.MaxRecords+10 {
		t.Errorf("%d records, %d to %d", len(all), all[0].Sequence, all[len(all)-1].Sequence)
	}
	m.Reset()
	m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/x", nil))
	if all := m.Records(); len(all) != 1 || all[0].Sequence != control.MaxRecords+11 {
		t.Errorf("after reset: %d records", len(all))
	}
}

// Load tests rely on many participants being distinct, valid and repeatable.
func TestSampleParticipants(t *testing.T) {
	a, b := SampleParticipants(20000), SampleParticipants(2)
	ids, identifiers := map[string]bool{}, map[string]bool{}
	for _, p := range a {
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		ids[p.ID], identifiers[p.Identifier] = true, true
	}
	if len(ids) != 20000 || len(identifiers) != 20000 {
		t.Errorf("%d IDs, %d identifiers", len(ids), len(identifiers))
	}
	if a[1].ID != b[1].ID || a[1].Identifier != "AA-0000-0002" {
		t.Errorf("not repeatable: %+v, %+v", a[1], b[1])
	}
}
