// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// COROS has an address of its own for refresh tokens, and takes them nowhere else.
func TestSeparateRefreshAddress(t *testing.T) {
	v := newVendor(t, "coros")
	tokens := v.connect()
	if tokens.text("openId") != v.accounts[0].ID {
		t.Errorf("%s", tokens.body)
	}
	form := "grant_type=refresh_token&client_id=client%3A1&client_secret=invented+secret%2B%25%2F1&refresh_token=" + tokens.text("refresh_token")
	kind := "Content-Type: application/x-www-form-urlencoded"
	if r := v.send(http.MethodPost, "/oauth2/accesstoken", form, kind); r.text("error") != "invalid_request" {
		t.Errorf("the other address: %s", r.body)
	}
	if r := v.send(http.MethodPost, "/oauth2/refresh-token", form, kind); r.status != http.StatusOK {
		t.Errorf("its own: %s", r.body)
	}
	if n := v.Counts(); n.Refreshes != 1 || n.Refreshed != 1 {
		t.Errorf("%+v", n)
	}
}

// Suunto says when an access token ends in the token, and wants a header with each
// call.
func TestAccessJWT(t *testing.T) {
	v := newVendor(t, "suunto")
	tokens := v.connect()
	parts := strings.Split(tokens.text("access_token"), ".")
	if len(parts) != 3 || tokens.json["expires_in"] != nil {
		t.Fatalf("%s", tokens.body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Sub string
		Exp int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Sub != v.accounts[0].ID || claims.Exp != v.now.Unix()+86400 {
		t.Errorf("%s: %v", payload, err)
	}
	if r := v.get("/v2/sleep", tokens.text("access_token")); r.status != http.StatusForbidden {
		t.Errorf("without the header: status %d", r.status)
	}
	if r := v.get("/v2/sleep", tokens.text("access_token"), "Ocp-Apim-Subscription-Key: simulated-subscription-key"); r.status != http.StatusOK {
		t.Errorf("with it: %s", r.body)
	}
}

// WHOOP gives a refresh token for the scope offline, which a refresh has to repeat.
func TestOfflineScope(t *testing.T) {
	v := newVendor(t, "whoop")
	if r := v.connect("scope=read:sleep"); r.text("refresh_token") != "" {
		t.Errorf("without it: %s", r.body)
	}
	tokens := v.connect("scope=offline read:sleep")
	if r := v.refresh(tokens.text("refresh_token"), "scope"); r.text("error") != "invalid_request" {
		t.Errorf("not repeated: %s", r.body)
	}
	if r := v.refresh(tokens.text("refresh_token")); r.status != http.StatusOK {
		t.Errorf("repeated: %s", r.body)
	}
}

// How an access token's end is told, is a quirk by itself.
func TestExpiryForms(t *testing.T) {
	v := newVendor(t, CityLab)
	for form, want := range map[string]any{"in": 3600.0, "string": "3600", "ms": 3600000.0, "none": nil} {
		v.Set(func(s *Settings) { s.Expires = form })
		if r := v.connect(); r.json["expires_in"] != want {
			t.Errorf("%s: %s", form, r.body)
		}
	}
}

// A wider answer than what was asked for, a scope that must stand first, and the ID
// of an account as a number.
func TestScopeQuirks(t *testing.T) {
	v := newVendor(t, CityLab)
	v.Set(func(s *Settings) { s.Wider, s.FirstScope = []string{"extra.read"}, "profile.read" })
	if q := v.decide(v.authorize(), Decision{}); q.Get("error") != "invalid_scope" {
		t.Errorf("another scope first: %v", q)
	}
	if r := v.connect("scope=profile.read results.read"); r.text("scope") != "profile.read results.read extra.read" {
		t.Errorf("%s", r.body)
	}
	v.Set(func(s *Settings) { s.AccountIn, s.AccountNumber = "user.id", true })
	if r := v.connect("scope=profile.read"); !strings.Contains(r.body, `"user":{"firstname":"Ada","id":`+v.accounts[0].ID+`}`) {
		t.Errorf("%s", r.body)
	}
	v.Set(func(s *Settings) { s.Envelope = "fitbit" })
	if r := v.refresh("x"); r.status != http.StatusBadRequest || !strings.Contains(r.body, `"errors":[{"errorType":"invalid_grant"`) {
		t.Errorf("a list of errors: %s", r.body)
	}
}

// The API takes a token from Authorization and from nowhere else.
func TestDataStrict(t *testing.T) {
	v := newVendor(t, CityLab)
	access := v.connect().text("access_token")
	for name, tt := range map[string]struct {
		target string
		header []string
		want   int
	}{
		"good":             {"/v1/measurements", []string{"Authorization: Bearer " + access}, http.StatusOK},
		"in the query":     {"/v1/measurements?access_token=" + access, []string{"X: x"}, http.StatusBadRequest},
		"in both":          {"/v1/measurements?access_token=" + access, []string{"Authorization: Bearer " + access}, http.StatusBadRequest},
		"twice":            {"/v1/measurements", []string{"Authorization: Bearer " + access, "Authorization: Bearer " + access}, http.StatusUnauthorized},
		"as Basic":         {"/v1/measurements", []string{"Authorization: Basic " + access}, http.StatusUnauthorized},
		"unknown":          {"/v1/measurements", []string{"Authorization: Bearer x"}, http.StatusUnauthorized},
		"unknown resource": {"/v1/nothing", []string{"Authorization: Bearer " + access}, http.StatusNotFound},
		"outside the API":  {"/v2/measurements", []string{"Authorization: Bearer " + access}, http.StatusNotFound},
		"bad page":         {"/v1/measurements?limit=0", []string{"Authorization: Bearer " + access}, http.StatusBadRequest},
	} {
		if r := v.send(http.MethodGet, tt.target, "", tt.header...); r.status != tt.want {
			t.Errorf("%s: status %d, want %d", name, r.status, tt.want)
		}
	}
	if r := v.send(http.MethodGet, "/v1/elsewhere?to=https://evil.example/", "", "Authorization: Bearer "+access); r.header.Get("Location") != "https://evil.example/" {
		t.Errorf("elsewhere: %v", r.header)
	}
	note := v.send(http.MethodPost, "/v1/notes", "a note", "Authorization: Bearer "+access)
	if r := v.get("/v1/notes", access); note.status != http.StatusCreated || !strings.Contains(r.body, "a note") {
		t.Errorf("notes: %s", r.body)
	}
}

// The hosts of a vendor are apart: what one serves, another does not.
func TestHosts(t *testing.T) {
	v := newVendor(t, CityLab)
	access := v.connect().text("access_token")
	for host, path := range map[string]string{HostLogin: "/oauth2/authorize", HostToken: "/oauth2/token", HostAPI: "/v1/me"} {
		for _, other := range []string{HostLogin, HostToken, HostAPI} {
			r := serve(t, v.Host(other), path, access)
			if found := r != http.StatusNotFound; found != (host == other) {
				t.Errorf("%s at %s: status %d", path, other, r)
			}
		}
	}
}

// What a mode says must happen, and end with it.
func TestModes(t *testing.T) {
	for _, m := range Modes() {
		v := newVendor(t, CityLab)
		refresh := v.connect().text("refresh_token")
		if err := v.SetMode(m.Name); err != nil {
			t.Fatal(err)
		}
		if err := v.SetMode(); err != nil {
			t.Fatal(err)
		}
		if r := v.refresh(refresh); r.status != http.StatusOK {
			t.Errorf("%s, ended: %s", m.Name, r.body)
		}
	}
	v := newVendor(t, CityLab)
	refresh := v.connect().text("refresh_token")
	for mode, want := range map[string]int{"400": 400, "401": 401, "429": 429, "500": 500, "garbage": 200, "invalid_grant": 400, "invalid_client": 401} {
		if err := v.SetMode(mode); err != nil {
			t.Fatal(err)
		}
		if r := v.refresh(refresh); r.status != want || r.text("access_token") != "" || strings.HasPrefix(mode, "invalid_") && r.text("error") != mode {
			t.Errorf("%s: status %d, %s", mode, r.status, r.body)
		}
	}
	if n := v.Counts(); n.Refreshed != 0 || n.Refreshes != 7 {
		t.Errorf("spent by a failure: %+v", n)
	}
	if err := v.SetMode("spent_500"); err != nil {
		t.Fatal(err)
	}
	if r := v.refresh(refresh); r.status != http.StatusInternalServerError || v.Counts().Refreshed != 1 {
		t.Errorf("spent: status %d", r.status)
	}
	if err := v.SetMode("nothing"); err == nil {
		t.Error("an unknown mode is taken")
	}
}

// A switch that means nothing must be told, by a panic in Go and 400 by hand.
func TestSettings(t *testing.T) {
	v := newVendor(t, CityLab)
	for name, change := range map[string]func(*Settings){
		"protocol": func(s *Settings) { s.Protocol = "openid" },
		"refresh":  func(s *Settings) { s.Refresh = "sometimes" },
		"lifetime": func(s *Settings) { s.CodeLifetime = 0 },
		"outage":   func(s *Settings) { s.Outages = control.Outages{"nothing": {}} },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			v.Set(change)
		}()
	}
	r := v.send(http.MethodPatch, "/_simulator/settings", `{"expires":"string"}`)
	if r.status != http.StatusOK || v.Settings().Expires != "string" || v.Settings().PKCE != "required" {
		t.Errorf("PATCH: status %d, %s", r.status, r.body)
	}
	if r := v.send(http.MethodPatch, "/_simulator/settings", `{"expires":"x"}`); r.status != http.StatusBadRequest {
		t.Errorf("PATCH: status %d", r.status)
	}
	if r := v.send(http.MethodPost, "/_simulator/reset", "", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"); r.status != http.StatusForbidden {
		t.Errorf("another origin: status %d", r.status)
	}
	v.connect()
	records := v.send(http.MethodGet, "/_simulator/records?after="+strconv.Itoa(0), "")
	if !strings.Contains(records.body, `"area":"code"`) || !slices.ContainsFunc(v.Records(), func(r Record) bool { return strings.Contains(r.Body, "code_verifier="+verifier) }) {
		t.Errorf("records: %s", records.body)
	}
}
