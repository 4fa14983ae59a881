// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// The addresses of two apps.
const (
	nativeAddress = "org.example.app:/connected"
	siteAddress   = "https://www.example.org/connected?tab=data"
	thenNative    = "then_native " + nativeAddress + " " + siteAddress
)

// tickets begins a flow in an app, and returns the ticket's address.
func (c *sourcesRig) tickets(app *browser, source, body string) string {
	c.t.Helper()
	a := app.do(http.MethodPost, "/connect/start/"+source, body, "Content-Type", "application/json")
	var started struct {
		URL     string
		Expires int `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(a.body), &started); err != nil || a.StatusCode != http.StatusOK || started.Expires > 600 || started.Expires < 500 ||
		!strings.HasPrefix(started.URL, c.URL()+"/connect/go/"+source+".") || strings.Contains(a.body, "authorize") {
		c.t.Fatalf("%s %s: %d %s", source, body, a.StatusCode, a.body)
	}
	if a.Header.Get("Set-Cookie") != "" {
		c.t.Errorf("the app gets a cookie: %v", a.Header)
	}
	return started.URL
}

// opensTicket opens a ticket, and returns the link to the vendor.
func (c *sourcesRig) opensTicket(b *browser, ticket string, texts ...string) string {
	c.t.Helper()
	a := b.navigates(ticket, "none")
	isPage(c.t, a, http.StatusOK, texts...)
	links := vendorLink.FindAllStringSubmatch(a.body, -1)
	if len(links) != 1 || !strings.Contains(links[0][0], "noreferrer") || a.Header.Get("Referrer-Policy") != "no-referrer" {
		c.t.Fatalf("%v %s", a.Header, a.body)
	}
	return html.UnescapeString(links[0][1])
}

// returnsToApp follows the vendor's redirect, and returns the app's address and its
// handle.
func (c *sourcesRig) returnsToApp(b *browser, to string) (address, handle string) {
	c.t.Helper()
	address = c.comesBack(b, to)
	u, err := url.Parse(address)
	if err != nil {
		c.t.Fatal(err)
	}
	return address, u.Query().Get("handle")
}

// finishes has an app end a flow.
func (c *sourcesRig) finishes(app *browser, handle string) answer {
	c.t.Helper()
	return app.do(http.MethodPost, "/connect/finish", `{"handle":"`+handle+`"}`, "Content-Type", "application/json")
}

// TestSourcesTicket protects users of apps that have no cookies in the browser where
// they consent: a native app and the frontend of another site connect a source, by the
// address that each is allowed.
func TestSourcesTicket(t *testing.T) {
	c := startSources(t, "", thenNative+"\n\t\t\tuser {rp.header.Remote-User}")
	app, b := c.browser("alice"), c.browser("") // the system's browser, where nobody is signed in
	for name, test := range map[string]struct{ source, body, then string }{
		"native":          {"city_lab", `{"client":"native"}`, nativeAddress + "?connect=pending&handle=city_lab."},
		"on another site": {"harbor_lab", `{"client":"other_site","scopes":"results.read"}`, siteAddress + "&connect=pending&handle=harbor_lab."},
		"app link":        {"city_lab", `{"client":"native","then":"` + siteAddress + `"}`, siteAddress + "&connect=pending&handle=city_lab."},
	} {
		vendor := c.city
		if test.source == "harbor_lab" {
			vendor = c.harbor
		}
		ticket := c.tickets(app, test.source, test.body)
		page := c.opensTicket(b, ticket, "alice", " lab")
		if s := c.states(app, "/status").Sources[test.source]; s.Account == "" && s.Status != "pending" {
			t.Errorf("%s: %+v", name, s)
		}
		address, handle := c.returnsToApp(b, c.decides(vendor, page, sources.Decision{Account: accountID(2)}))
		if !strings.HasPrefix(address, test.then) || !strings.HasSuffix(address, "&source="+test.source) || handle == "" {
			t.Fatalf("%s: sent to %q", name, address)
		}
		a := c.finishes(app, handle)
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"status":"connected"`) || !strings.Contains(a.body, test.source) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
		if got := app.do(http.MethodGet, "/data/"+test.source+"/measurements", ""); got.StatusCode != http.StatusOK {
			t.Errorf("%s: data: %d %s", name, got.StatusCode, got.body)
		}
	}
	denied := c.opensTicket(b, c.tickets(app, "city_lab", `{"client":"native"}`))
	if address, handle := c.returnsToApp(b, c.decides(c.city, denied, sources.Decision{Deny: true})); handle != "" || address != nativeAddress+"?connect=consent_denied&source=city_lab" {
		t.Errorf("denied: sent to %q", address)
	}
	for _, body := range []string{`{"client":"other_site","then":"` + nativeAddress + `"}`, `{"client":"native","then":"https://evil.example/"}`, `{"client":"native","then":"` + nativeAddress + `/"}`, `{"client":"app"}`} {
		isCode(t, app.do(http.MethodPost, "/connect/start/city_lab", body, "Content-Type", "application/json"), http.StatusForbidden, "route_denied")
	}
	c.use("", "")
	isCode(t, app.do(http.MethodPost, "/connect/start/city_lab", `{"client":"native"}`, "Content-Type", "application/json"), http.StatusForbidden, "route_denied")
}

// TestT69_TicketsOfSources protects people from tickets and handles in other hands:
// neither works in another browser, twice, at another source, or for another user, and
// a victim who is led to consent gives the attacker nothing. The control is the way of
// who began, in between.
func TestT69_TicketsOfSources(t *testing.T) {
	c := startSources(t, "", thenNative+"\n\t\t\tpage")
	alice, mallory := c.browser("alice"), c.browser("mallory")
	own, other := c.browser(""), c.browser("")
	ticket := c.tickets(alice, "city_lab", `{"client":"native"}`)
	page := c.opensTicket(own, ticket, "alice", "City lab")
	if again := c.opensTicket(own, ticket); again != page { // back from the vendor's page
		t.Errorf("%s, and then %s", page, again)
	}
	gone := func(name string, b *browser, address string) {
		t.Helper()
		a := b.navigates(address, "none")
		if isPage(t, a, http.StatusGone); vendorLink.MatchString(a.body) || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v %s", name, a.Header, a.body)
		}
	}
	for name, address := range map[string]string{
		"in another browser": ticket,
		"of another source":  strings.Replace(ticket, "/go/city_lab.", "/go/harbor_lab.", 1),
		"of no source":       strings.Replace(ticket, "/go/city_lab.", "/go/", 1),
		"that is none":       ticket + "X",
		"that is empty":      c.URL() + "/connect/go/",
	} {
		gone(name, other, address)
	}
	if a := own.do(http.MethodGet, ticket, "", "Sec-Fetch-Dest", "iframe", "Sec-Fetch-Site", "cross-site"); a.StatusCode != http.StatusForbidden || vendorLink.MatchString(a.body) {
		t.Errorf("in a frame: %d %s", a.StatusCode, a.body)
	}
	to := c.decides(c.city, page, sources.Decision{Account: accountID(1)})
	if got := c.comesBack(other, to); !strings.Contains(got, "connect=session_required") {
		t.Errorf("another browser comes back: %q", got)
	}
	if got := c.comesBack(own, strings.Replace(to, "/return/city_lab", "/return/harbor_lab", 1)); !strings.Contains(got, "connect=session_required") {
		t.Errorf("at another source: %q", got)
	}
	own.signIn("mallory") // who is signed in there does not count
	_, handle := c.returnsToApp(own, to)
	if handle == "" {
		t.Fatal("no handle")
	}
	c.is(own, "city_lab", "none   connect")
	gone("twice", own, ticket)
	for name, try := range map[string]struct {
		app    *browser
		handle string
		status int
		code   string
	}{
		"another user":      {mallory, handle, http.StatusForbidden, "consent_required"},
		"nobody":            {other, handle, http.StatusUnauthorized, "session_required"},
		"another source":    {alice, strings.Replace(handle, "city_lab", "harbor_lab", 1), http.StatusGone, "flow_expired"},
		"no source":         {alice, strings.TrimPrefix(handle, "city_lab."), http.StatusGone, "flow_expired"},
		"the ticket":        {alice, strings.TrimPrefix(ticket, c.URL()+"/connect/go/"), http.StatusGone, "flow_expired"},
		"a handle of none":  {alice, "city_lab.X", http.StatusGone, "flow_expired"},
		"an empty one":      {alice, "", http.StatusGone, "flow_expired"},
		"a body of another": {alice, `","x":"`, http.StatusGone, "flow_expired"},
	} {
		if a := c.finishes(try.app, try.handle); a.StatusCode != try.status || !strings.Contains(a.body, try.code) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	foreign := alice.do(http.MethodPost, "/connect/finish", `{"handle":"`+handle+`"}`, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	isCode(t, foreign, http.StatusForbidden, "cross_origin")
	if a := c.finishes(alice, handle); a.StatusCode != http.StatusOK {
		t.Errorf("the control: %d %s", a.StatusCode, a.body)
	}
	isCode(t, c.finishes(alice, handle), http.StatusGone, "flow_expired")
	c.is(alice, "city_lab", "connected ben@people.example  disconnect")

	// Mallory's ticket, in the hands of somebody who does consent: the page tells whose
	// data it will be, and their own app gets the handle.
	victim := c.browser("victim")
	page = c.opensTicket(victim, c.tickets(mallory, "city_lab", `{"client":"native"}`), "mallory")
	_, handle = c.returnsToApp(victim, c.decides(c.city, page, sources.Decision{Account: accountID(4)}))
	isCode(t, c.finishes(victim, handle), http.StatusForbidden, "consent_required")
	for _, b := range []*browser{victim, mallory} {
		if s := c.states(b, "/status").Sources["city_lab"]; s.Status == "connected" || s.Account != "" {
			t.Errorf("%+v", s)
		}
	}
}

// TestSourcesTicketSecrets protects people from what stays behind: no ticket, handle,
// state or code is in Caddy's log.
func TestSourcesTicketSecrets(t *testing.T) {
	c := startSources(t, "", thenNative)
	app, b := c.browser("alice"), c.browser("")
	ticket := c.tickets(app, "city_lab", `{"client":"native"}`)
	to := c.decides(c.city, c.opensTicket(b, ticket), sources.Decision{})
	_, handle := c.returnsToApp(b, to)
	if a := c.finishes(app, handle); a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	_ = b.navigates(ticket, "none") // which is refused
	log, err := os.ReadFile(c.logFile())
	if err != nil || !strings.Contains(string(log), "/connect/finish") || !strings.Contains(string(log), `"event":"connected"`) {
		t.Fatalf("%v: the log is not what it should be: %s", err, log)
	}
	query, _ := url.Parse(to)
	for _, secret := range []string{strings.TrimPrefix(ticket, c.URL()+"/connect/go/city_lab."), strings.TrimPrefix(handle, "city_lab."), query.Query().Get("state"), query.Query().Get("code")} {
		if len(secret) < 4 || strings.Contains(string(log), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// TestSourcesTicketCaught protects users of apps from an authenticator that answers the
// browser in which they open a ticket: check opens one as that does, and says so.
func TestSourcesTicketCaught(t *testing.T) {
	c := startSources(t, "", "")
	for _, setting := range []string{thenNative, "cross_device"} {
		text := c.caddyfileOf("", setting)
		load(t, c.Stack, text)
		contains(t, checks(t, c.Stack, text, true), "✓ go                 study: "+c.URL()+"/connect/go/… is answered by delegate_connect")
		text = strings.Replace(text, "@none status 401\n\t\t\thandle_response @none {\n\t\t\t}", "", 1)
		load(t, c.Stack, text)
		contains(t, checks(t, c.Stack, text, false), "✗ go                 study: "+c.URL()+"/connect/go/… is not answered by delegate_connect, but with status 401", "write `not path /go/*` in the matcher")
	}
	text := c.caddyfileOf("", "")
	load(t, c.Stack, text)
	if said := checks(t, c.Stack, text, true); strings.Contains(said, "/go/") {
		t.Errorf("tickets that there are not: %s", said)
	}
}
