// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// TestMydexFirstConnection protects a member's way from consent to their data,
// and what goes over which wire on it: the browser never has a key, and the
// platform has the member's whose session it is.
func TestMydexFirstConnection(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	uid := c.mydex.Members()[0].UID
	alice.status("none")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	page := alice.start("/start")
	alice.status("pending")
	to := alice.agree(page, uid)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required") // told, but not back
	alice.returnTo(to, "connected")
	alice.status("connected")
	member, ok := c.mydex.Connection(uid)
	if !ok {
		t.Fatal("not connected at the platform")
	}

	a := alice.do(http.MethodGet, dataset+"&con.id=1&%6bey=stolen&uid[]=2&api_key=x", "", "Connection-Token", "stolen", "Authorization", "Bearer forged")
	a.want(t, http.StatusOK, "")
	r := c.crossed()
	want := "/api/pds/pds/" + uid + ".json?dataset=ds_personal_details&instance=0&"
	if !strings.HasPrefix(r.URI, want) || strings.Contains(r.URI, "stolen") || strings.Contains(r.URI, "api_key") || !strings.Contains(r.RawQuery, "key="+member.Key) {
		t.Errorf("%s", r.URI)
	}
	if r.Header.Get("Connection-Token") != "" || r.Header.Get("Cookie") != "" || len(r.Header["Authorization"]) != 1 {
		t.Errorf("%v", r.Header)
	}
	a = alice.do(http.MethodPost, "/pdx/calendar/add-event", `{"title":"Visit","start_timestamp":1,"end_timestamp":2,"status":"CONFIRMED"}`, "Content-Type", "application/json", "Sec-Fetch-Site", "same-origin")
	a.want(t, http.StatusOK, "")
	r = c.crossed()
	if r.Header.Get("Connection-Token") != member.Key || strings.Contains(r.URI, member.Key) || !strings.Contains(r.RawQuery, "con_id="+member.ConID) {
		t.Errorf("%s %v", r.URI, r.Header)
	}
	for path, code := range map[string]string{
		"/pdx/api/pds/pds/" + uid + ".json?dataset=ds_personal_details": "route_denied",
		"/pdx/api/pds/pds/me.jsonp?dataset=ds_personal_details":         "route_denied",
		"/pdx/access-token/45678":                                       "route_denied",
	} {
		alice.do(http.MethodGet, path, "").want(t, http.StatusForbidden, code)
	}
	if n := c.mydex.Counts().TokenRequests; n > 3 {
		t.Errorf("%d tokens", n)
	}

	// Somebody else is somebody else.
	bob := c.browser("bob")
	bob.status("none")
	bob.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")

	// Who leaves is forgotten, at once.
	if a := alice.do(http.MethodDelete, "/connect/mydex/", "", "Sec-Fetch-Site", "same-origin"); a.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	alice.status("none")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
}

// TestT56_MydexConsentLink protects a member who is sent a link that somebody
// else has begun: their store does not become the other's.
func TestT56_MydexConsentLink(t *testing.T) {
	c := startMydex(t, "", "")
	mallory, victim := c.browser("mallory"), c.browser("victim")
	page := mallory.start("/start")
	to := victim.agree(page, c.mydex.Members()[0].UID)
	victim.returnTo(to, "consent_required") // the victim's browser has not set out
	mallory.status("pending")
	mallory.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	at, _ := url.Parse(c.URL())
	for _, cookie := range mallory.client.Jar.Cookies(at) {
		state, _ := url.Parse(to)
		if strings.Contains(cookie.Value, state.Query().Get("state")) {
			t.Error("the browser that set out knows the address to come back to")
		}
	}
	// Nor does another user in mallory's browser get it.
	shared := c.browser("carol")
	shared.client.Jar.SetCookies(at, mallory.client.Jar.Cookies(at)[1:])
	shared.returnTo(to, "consent_required")
	shared.status("none")
}

// TestMydexDisorder protects from a platform that tells late, twice, or in
// another way.
func TestMydexDisorder(t *testing.T) {
	for name, set := range map[string]func(*mydex.Settings){
		"json":  func(s *mydex.Settings) { s.CallbackEncoding = "json" },
		"twice": func(s *mydex.Settings) { s.CallbackCopies = 2 },
		"late":  func(s *mydex.Settings) { s.Callback = "held" },
	} {
		t.Run(name, func(t *testing.T) {
			c := startMydex(t, "", "")
			c.mydex.Set(set)
			alice := c.browser("alice")
			to := alice.agree(alice.start("/start"), c.mydex.Members()[0].UID)
			if name == "late" {
				alice.returnTo(to, "pending")
				alice.status("pending")
				c.mydex.Deliver()
			} else {
				alice.returnTo(to, "connected")
			}
			alice.status("connected") // which ends the journey, if that is still to do
			alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
			for _, d := range c.mydex.Deliveries() {
				if d.Status != http.StatusNoContent {
					t.Errorf("a callback was answered with %d", d.Status)
				}
			}
		})
	}
}

// TestMydexForgedCallbacks protects from anybody who is not the platform, and
// from what it cannot have said.
func TestMydexForgedCallbacks(t *testing.T) {
	for name, set := range map[string]func(*mydex.Settings){
		"wrong":         func(s *mydex.Settings) { s.CallbackAuthentication = "wrong" },
		"absent":        func(s *mydex.Settings) { s.CallbackAuthentication = "absent" },
		"twice":         func(s *mydex.Settings) { s.CallbackAuthentication = "twice" },
		"another nid":   func(s *mydex.Settings) { s.CallbackConnectionID = "nid" },
		"another uid":   func(s *mydex.Settings) { s.CallbackConnectionID = "uid" },
		"no connection": func(s *mydex.Settings) { s.CallbackConnectionID = "absent" },
		"no link":       func(s *mydex.Settings) { s.CallbackOmits = []string{"linking_token"} },
		"no uid":        func(s *mydex.Settings) { s.CallbackOmits = []string{"uid"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := startMydex(t, "", "")
			c.mydex.Set(set)
			alice := c.browser("alice")
			alice.returnTo(alice.agree(alice.start("/start"), c.mydex.Members()[0].UID), "pending")
			alice.status("pending")
			for _, d := range c.mydex.Deliveries() {
				if d.Status != http.StatusForbidden && d.Status != http.StatusBadRequest {
					t.Errorf("answered with %d", d.Status)
				}
			}
		})
	}
	c := startMydex(t, "", "callback_from 192.0.2.0/24")
	alice := c.browser("alice")
	alice.returnTo(alice.agree(alice.start("/start"), c.mydex.Members()[0].UID), "pending")
	if d := c.mydex.Deliveries(); len(d) != 1 || d[0].Status != http.StatusNotFound {
		t.Errorf("from another address: %+v", d)
	}
	nobody := c.browser("")
	for path, status := range map[string]int{"/callback": 404, "/callback/": 404, "/callback/" + mydexSegment + "/x": 404, "/callback/" + mydexSegment: 404} {
		if a := nobody.do(http.MethodPost, "/connect/mydex"+path, "{}"); a.StatusCode != status {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	c = startMydex(t, "", "")
	big := c.browser("").do(http.MethodPost, "/connect/mydex/callback/"+mydexSegment, strings.Repeat("x", 10<<20), "Authentication", mydex.Hash(mydexToken), "Content-Type", "application/json")
	if big.StatusCode != http.StatusBadRequest {
		t.Errorf("10 MB: %d", big.StatusCode)
	}
}

// TestMydexOneMemberOneUser protects a member from a second user of the app
// who consents with the same account.
func TestMydexOneMemberOneUser(t *testing.T) {
	c := startMydex(t, "", "")
	uid := c.mydex.Members()[0].UID
	c.mydex.Set(func(s *mydex.Settings) { s.KeepKey = true })
	alice, mallory := c.browser("alice"), c.browser("mallory")
	alice.connect(uid)
	mallory.returnTo(mallory.agree(mallory.start("/start"), uid), "account_conflict")
	mallory.do(http.MethodGet, dataset, "").want(t, http.StatusConflict, "account_conflict")
	mallory.do(http.MethodGet, "/connect/mydex/status", "").want(t, http.StatusConflict, "account_conflict")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	// An account of their own ends it.
	page := mallory.start("/start")
	mallory.status("pending")
	mallory.returnTo(mallory.agree(page, c.mydex.Members()[1].UID), "connected")
	mallory.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}

// TestMydexUpdate protects somebody who is asked for more.
func TestMydexUpdate(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.do(http.MethodPost, "/connect/mydex/update", "").want(t, http.StatusForbidden, "consent_required")
	uid := c.mydex.Members()[0].UID
	alice.connect(uid)
	alice.returnTo(alice.agree(alice.start("/update"), uid), "connected")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}
