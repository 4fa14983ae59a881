// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const (
	mydexNID     = "45678"
	mydexToken   = "connection-token-5f21"
	mydexSecret  = "client secret+%/1"
	mydexSegment = "0123456789abcdef0123"

	dataset = "/pdx/api/pds/pds/me.json?dataset=ds_personal_details&instance=0"
)

// connection is a running stack whose platform is Mydex.
type connection struct {
	*stack.Stack
	t     testing.TB
	mydex *mydex.Mydex
	url   string
	front atomic.Value // of type func(http.ResponseWriter, *http.Request) bool; may answer in Mydex's place
}

// startMydex starts Mydex and a Caddy in front of it. lines go into the global
// option, connect into delegate_connect.
func startMydex(t testing.TB, lines, connect string) *connection {
	t.Helper()
	s := newStack(t)
	m := mydex.New(mydex.Options{
		ClientID: "client:1", ClientSecret: mydexSecret, ConnectionNID: mydexNID, ConnectionToken: mydexToken,
		Scopes:  []string{mydex.ScopePDX, "get:/timeline", "post:/calendar/add-event", "get:/calendar/get-events", "delete:/calendar/delete-event"},
		Members: mydex.SampleMembers(8),
	})
	c := &connection{Stack: s, t: t, mydex: m}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if front, ok := c.front.Load().(func(http.ResponseWriter, *http.Request) bool); ok && front(w, r) {
			return
		}
		m.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	t.Setenv("MYDEX_SECRET", mydexSecret)
	t.Setenv("MYDEX_CONNECTION", mydexToken)
	c.load(lines, connect)
	return c
}

// load has Caddy run with other lines, on another port.
func (c *connection) load(lines, connect string) {
	c.t.Helper()
	load(c.t, c.Stack, c.caddyfile(lines, connect))
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
}

func (c *connection) caddyfile(lines, connect string) string {
	if !strings.Contains(lines, "grants") {
		lines += "\n\t\tgrants sqlite " + filepath.Join(c.Dir, "grants", "grants.db")
	}
	return administered(`{` + stack.Options + `
	delegate {
		provider mydex {
			api_url          ` + c.url + `
			token_url        ` + c.url + `/oauth2/token
			identity_url     ` + c.url + `
			client_id        client:1
			client_secret    {env.MYDEX_SECRET}
			connection_nid   ` + mydexNID + `
			connection_token {env.MYDEX_CONNECTION}
			scopes           mydex:pdx get:/timeline post:/calendar/add-event get:/calendar/get-events delete:/calendar/delete-event get:/forbidden
		}` + lines + `
	}
}
http://127.0.0.1:[[.Port]] {
	handle_path /pdx/* {` + stack.SignIn + `
		delegate_proxy mydex {
			subject {rp.header.Remote-User}
			allow /api/pds/pds/me.json mydex:pdx
			allow /api/pds/pds/me.xml mydex:pdx
			allow /api/pds/pds/me.jsonp mydex:pdx
			allow POST /api/pds/transaction mydex:pdx
			allow GET /timeline get:/timeline
			allow GET /forbidden get:/forbidden
			allow POST /calendar/add-event post:/calendar/add-event
			allow GET /calendar/get-events get:/calendar/get-events
			allow DELETE /calendar/delete-event delete:/calendar/delete-event
		}
	}
	handle_path /connect/mydex/* {
		@member {
			not method OPTIONS
			not path /callback/*
		}
		forward_auth @member [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect mydex {
			url      http://127.0.0.1:[[.Port]]/connect/mydex
			then     /profile
			callback ` + mydexSegment + `
			subject  {rp.header.Remote-User}
			` + connect + `
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`)
}

// browser is one browser, with its cookies.
type browser struct {
	*connection
	client *http.Client
}

func (c *connection) browser(user string) *browser {
	c.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	b := &browser{c, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	c.t.Cleanup(b.client.CloseIdleConnections)
	if user != "" {
		b.signIn(user)
	}
	return b
}

func (b *browser) signIn(user string) {
	b.t.Helper()
	at, _ := url.Parse(b.URL())
	b.client.Jar.SetCookies(at, []*http.Cookie{{Name: stack.CookieName, Value: b.App.SignIn(user, time.Time{}), Path: "/"}})
}

// do sends a request to our site, or to an address.
func (b *browser) do(method, target, body string, header ...string) answer {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.URL() + target
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res, string(text)}
}

// start begins a journey and returns the platform's page.
func (b *browser) start(path string) string {
	b.t.Helper()
	a := b.do(http.MethodPost, "/connect/mydex"+path, "")
	var d struct{ URL, QR string }
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || a.StatusCode != http.StatusOK || d.URL == "" || !strings.HasPrefix(d.QR, "data:image/png;base64,") {
		b.t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
	}
	return d.URL
}

var flowInput = regexp.MustCompile(`name="journey" value="([^"]+)"`)

// agree clicks through the platform's pages as a member, and returns where the
// platform sends the browser.
func (b *browser) agree(page, uid string) string {
	b.t.Helper()
	form := func(a answer, values url.Values) url.Values {
		b.t.Helper()
		m := flowInput.FindStringSubmatch(a.body)
		if m == nil {
			b.t.Fatalf("no journey on the page: %d %s", a.StatusCode, a.body)
		}
		values.Set("journey", html.UnescapeString(m[1]))
		return values
	}
	const encoded = "application/x-www-form-urlencoded"
	a := b.do(http.MethodGet, page, "")
	a = b.do(http.MethodPost, b.url+"/ftc/sign-in", form(a, url.Values{"member": {uid}}).Encode(), "Content-Type", encoded)
	a = b.do(http.MethodGet, b.url+a.Header.Get("Location"), "")
	a = b.do(http.MethodPost, b.url+"/ftc/agreement", form(a, url.Values{"decision": {"agree"}}).Encode(), "Content-Type", encoded)
	if a.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return a.Header.Get("Location")
}

// returnTo follows the platform's redirect, as from its site, and wants the app's
// page to be told the outcome.
func (b *browser) returnTo(to, outcome string) {
	b.t.Helper()
	a := b.do(http.MethodGet, to, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	if got := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || got != "/profile?connect="+outcome {
		b.t.Errorf("back: %d %q %s; want %s", a.StatusCode, got, a.body, outcome)
	}
}

// connect goes all the way.
func (b *browser) connect(uid string) {
	b.t.Helper()
	b.returnTo(b.agree(b.start("/start"), uid), "connected")
}

func (b *browser) status(want string) {
	b.t.Helper()
	if a := b.do(http.MethodGet, "/connect/mydex/status", ""); strings.TrimSpace(a.body) != `{"status":"`+want+`"}` {
		b.t.Errorf("status %d %s; want %s", a.StatusCode, a.body, want)
	}
}

// crossed is the latest request that the API received.
func (c *connection) crossed() mydex.Record {
	c.t.Helper()
	for _, record := range slices.Backward(c.mydex.Records()) {
		if record.Role == "pdx" {
			return record
		}
	}
	c.t.Fatal("the API was not asked")
	return mydex.Record{}
}

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
