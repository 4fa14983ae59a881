// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// TestMydexXML protects whoever asks for XML: it is their own data, by the same
// way as JSON. As a script, which any page could load, nobody gets it, though
// the Caddyfile has a line for it.
func TestMydexXML(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	member := c.mydex.Members()[0]
	alice.connect(member.UID)
	connection, _ := c.mydex.Connection(member.UID)
	c.mydex.Fill(member.UID, "ds_personal_details", 0, map[string]any{"field_personal_fname": "Robin"})

	a := alice.do(http.MethodGet, strings.Replace(dataset, ".json", ".xml", 1)+"&key=stolen&uid=2", "")
	a.want(t, http.StatusOK, "")
	if a.Header.Get("Content-Type") != "application/xml" || !strings.Contains(a.body, "<value>Robin</value>") {
		t.Errorf("%v %s", a.Header, a.body)
	}
	r := c.crossed()
	want := "/api/pds/pds/" + member.UID + ".xml?dataset=ds_personal_details&instance=0&con_id=" + connection.ConID + "&source_type=connection&key=" + connection.Key
	if r.URI != want || r.Header.Get("Connection-Token") != "" {
		t.Errorf("%s %v, want %s", r.URI, r.Header, want)
	}

	before := c.mydex.Counts().PDX
	for _, name := range []string{member.UID + ".xml", "me.xml/", "me.XML", "me.jsonp"} {
		alice.do(http.MethodGet, "/pdx/api/pds/pds/"+name+"?dataset=ds_personal_details", "").want(t, http.StatusForbidden, "route_denied")
	}
	if after := c.mydex.Counts().PDX; after != before {
		t.Errorf("%d refused requests reached the API", after-before)
	}
}

// TestMydexDelete protects what a member deletes: the platform reads which
// event it is from the body of a DELETE, and nothing else.
func TestMydexDelete(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	a := alice.do(http.MethodPost, "/pdx/calendar/add-event", `{"title":"Visit","start_timestamp":1,"end_timestamp":2,"status":"CONFIRMED"}`, "Content-Type", "application/json")
	var added struct {
		ID int `json:"last_insert_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &added); err != nil || added.ID == 0 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	body := fmt.Sprintf(`{"id":%d}`, added.ID)
	a = alice.do(http.MethodDelete, "/pdx/calendar/delete-event", body, "Content-Type", "application/json")
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"success":1`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if r := c.crossed(); r.Body != body || r.Method != http.MethodDelete {
		t.Errorf("%s %q arrived", r.Method, r.Body)
	}
	if a := alice.do(http.MethodGet, "/pdx/calendar/get-events", ""); strings.Contains(a.body, "Visit") {
		t.Errorf("it is still there: %s", a.body)
	}
}

// TestMydexSurvivesRestart protects the members' keys, which the platform
// cannot give again: a Caddy that starts anew has them.
func TestMydexSurvivesRestart(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	if err := c.Restart(c.caddyfile("", "")); err != nil {
		t.Fatal(err)
	}
	again := c.browser("alice")
	again.status("connected")
	again.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}

// TestMydexWithdrawn protects a member who has withdrawn at the platform, and
// tells them apart from a route that no scope covers, which looks the same.
func TestMydexWithdrawn(t *testing.T) {
	c := startMydex(t, "", "")
	alice, bob := c.browser("alice"), c.browser("bob")
	alice.connect(c.mydex.Members()[0].UID)
	bob.connect(c.mydex.Members()[1].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	alice.do(http.MethodGet, "/pdx/forbidden", "").want(t, http.StatusBadGateway, "scope_rejected")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	c.mydex.Withdraw(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	alice.status("update_required")
	bob.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}

// TestMydexDown protects people whose grant is known from a platform or
// identity host that is away, and tells the others.
func TestMydexDown(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	c.mydex.Set(func(s *mydex.Settings) { s.Outages = map[string]simulator.Outage{"setup": {Status: 503}} })
	bob := c.browser("bob")
	bob.do(http.MethodPost, "/connect/mydex/start", "").want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	bob.status("none") // nobody waits for what the platform does not know of
	c.mydex.Set(func(s *mydex.Settings) { s.Outages = map[string]simulator.Outage{"setup": {Reset: true}} })
	c.browser("bob").do(http.MethodPost, "/connect/mydex/start", "").want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}

// TestMydexAcrossSites protects a user from pages of other sites: only the way
// back from the platform may come from one.
func TestMydexAcrossSites(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	for _, request := range [][2]string{{"POST", "/start"}, {"POST", "/update"}, {"GET", "/status"}, {"DELETE", "/"}} {
		alice.do(request[0], "/connect/mydex"+request[1], "", "Sec-Fetch-Site", "cross-site").want(t, http.StatusForbidden, "cross_origin")
	}
	alice.returnTo("/connect/mydex/return?state=x", "consent_required")
	c.browser("").returnTo("/connect/mydex/return?state=x", "session_required")
	alice.do(http.MethodGet, "/connect/mydex/start", "").want(t, http.StatusMethodNotAllowed, "method_not_allowed")
	alice.do(http.MethodGet, "/connect/mydex/x", "").want(t, http.StatusForbidden, "route_denied")
	c.browser("").do(http.MethodGet, "/connect/mydex/status", "").want(t, http.StatusUnauthorized, "session_required")
}

// TestMydexPostgresKilled protects people whose grant is known while the
// database is away, and tells the others what it is.
func TestMydexPostgresKilled(t *testing.T) {
	server, lines := postgresGrants(t)
	c := startMydex(t, lines, "")
	alice, bob := c.browser("alice"), c.browser("bob")
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	to := bob.agree(bob.start("/start"), c.mydex.Members()[1].UID)
	server.Kill()
	for range 3 {
		alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	}
	bob.do(http.MethodGet, dataset, "").want(t, http.StatusServiceUnavailable, "grants_unavailable")
	bob.returnTo(to, "grants_unavailable")
	bob.do(http.MethodGet, "/connect/mydex/status", "").want(t, http.StatusServiceUnavailable, "grants_unavailable")
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the database is in use again", func() bool {
		return bob.do(http.MethodGet, "/connect/mydex/status", "").StatusCode == http.StatusOK
	})
	bob.status("connected") // nothing is lost
	bob.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}

// TestMydexKeysetLost protects from a keyset that is gone: Caddy does not
// start, and nothing of the grants is changed.
func TestMydexKeysetLost(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	file := filepath.Join(c.Dir, "grants", "keyset.json")
	if err := os.Rename(file, file+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(c.caddyfile("", "")); err == nil || !strings.Contains(err.Error(), "keyset.json is gone") {
		t.Fatalf("%v", err)
	}
	if err := os.Rename(file+".kept", file); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(c.caddyfile("", "")); err != nil {
		t.Fatal(err)
	}
	c.browser("alice").do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}

// TestMydexCheck protects an operator from finding out by their users: each
// step is tried and told, and nothing secret is.
func TestMydexCheck(t *testing.T) {
	c := startMydex(t, "", "")
	rendered, err := c.Render(c.caddyfile("", ""))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(c.Dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(rendered), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(works bool, args ...string) string {
		t.Helper()
		out, err := command(t, append([]string{"check", "--config", file, "--adapter", "caddyfile"}, args...)...)
		if (err == nil) != works || strings.Contains(out, mydexSecret) || strings.Contains(out, mydexToken) {
			t.Errorf("%v: %v, %s", args, err, out)
		}
		return out
	}
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	out := check(true, "--subject", "alice", "--route", "GET /api/pds/pds/me.json?dataset=ds_personal_details&instance=0", "--read")
	for _, must := range []string{"service token", "grant", "datasets", "status 200"} {
		if !strings.Contains(out, must) {
			t.Errorf("%q is not told: %s", must, out)
		}
	}
	if member, _ := c.mydex.Connection(c.mydex.Members()[0].UID); strings.Contains(out, member.Key) {
		t.Error("the member's key is told")
	}
	if out := check(false, "--subject", "bob", "--route", "GET /timeline"); !strings.Contains(out, "consent_required: the user has not connected") {
		t.Error(out)
	}
	if out := check(false, "--subject", "alice", "--route", "GET /forbidden"); !strings.Contains(out, "tried one by one, Mydex refuses get:/forbidden (asked for by allow /forbidden)") {
		t.Error(out)
	}
}
