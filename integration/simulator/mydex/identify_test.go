// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// Identify brings the MydexID and nothing that opens data.
func TestIdentify(t *testing.T) {
	p := newPlatform(t)
	r := p.do("POST", p.identity+"/identify", setupBody(nil), p.bearer())
	wantStatus(t, r, http.StatusCreated)
	back := p.signIn(r.json["url"].(string), robin)
	if wantStatus(t, back, http.StatusSeeOther); back.Header.Get("Location") != returnTo {
		t.Errorf("sent back to %q", back.Header.Get("Location"))
	}
	if got := p.subscriber.received(); len(got) != 1 || got[0].method != "POST" || got[0].body != "mydexid=Robin101&linking_token=opaque%2B1%26%C3%A9" {
		t.Errorf("callbacks %+v", got)
	}
	if _, ok := p.Connection(robin.UID); ok {
		t.Error("connected")
	}
}

// The older form, which some subscribers still use.
func TestOldForm(t *testing.T) {
	p := newPlatform(t)
	p.SetLoginURL(p.identity)
	bearer := p.bearer()
	short := func() string {
		t.Helper()
		var s string
		r := p.do("GET", p.pdx+"/access-token/"+nid, "")
		if err := json.Unmarshal([]byte(r.body), &s); err != nil {
			t.Fatalf("%v in %s", err, r.body)
		}
		return s
	}
	headers := func(s string) []string {
		return []string{bearer, "Short-Access-Token: " + s, "Authentication: " + Hash(s+token)}
	}
	s := short()
	body := setupBody(map[string]any{"mydexid": "Robin101"})
	r := p.do("POST", p.pdx+"/api/connection", body, headers(s)...)
	wantStatus(t, r, http.StatusOK)
	var link string
	if err := json.Unmarshal([]byte(r.body), &link); err != nil {
		t.Fatal(err)
	}
	p.agree(link, robin)
	update := setupBody(map[string]any{"mydexid": "Robin101", "version": "2"})
	for name, tt := range map[string]struct {
		path, body string
		header     []string
		status     int
	}{
		"update":         {"/api/connection/update", update, headers(short()), 200},
		"used twice":     {"/api/connection", body, headers(s), 401},
		"invented":       {"/api/connection", body, headers("x"), 401},
		"static hash":    {"/api/connection", body, []string{bearer, "Short-Access-Token: " + short(), "Authentication: " + Hash(token)}, 401},
		"no bearer":      {"/api/connection", body, headers(short())[1:], 401},
		"number":         {"/api/connection/update", setupBody(map[string]any{"mydexid": "Robin101", "version": 2}), headers(short()), 400},
		"without a name": {"/api/connection", setupBody(nil), headers(short()), 400},
	} {
		if r := p.do("POST", p.pdx+tt.path, tt.body, tt.header...); r.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, r.StatusCode, tt.status, r.body)
		}
	}
	wantStatus(t, p.do("GET", p.pdx+"/access-token/1", ""), 400)
}

// All three hosts on one address, for the demo: no path collides.
func TestOneAddress(t *testing.T) {
	p := newPlatform(t)
	one := newServer(t, p.Mydex)
	p.op, p.pdx, p.identity = one, one, one
	p.agree(p.link(nil), robin)
	c, _ := p.Connection(robin.UID)
	wantStatus(t, p.do("GET", p.datasetURL(c), "", p.bearer()), 200)
	roles := ""
	for _, r := range p.Records() {
		roles += fmt.Sprintf("%s/%s ", r.Role, r.Area)
	}
	if want := "op/token identity/setup identity/pages identity/pages identity/pages identity/pages op/token pdx/pdx "; roles != want {
		t.Errorf("roles %s", roles)
	}
}
