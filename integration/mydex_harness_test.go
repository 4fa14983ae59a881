// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// start begins a consent flow and returns the platform's page.
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
