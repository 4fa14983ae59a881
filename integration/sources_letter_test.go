// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// TestSourcesLetter protects people to whom an operator writes, or who go on on another
// device: the ticket ends in the browser that opens it first, once they are signed in
// there, and gives nothing to whoever opens it before them.
func TestSourcesLetter(t *testing.T) {
	c := startSources(t, "", "cross_device 30m\n\t\t\tpage")
	office := newAdmin(t, c.Stack)
	writes := func(members string) answer {
		return office.send(http.MethodPost, "/delegate/journeys", `{"provider":"study","realm":"default",`+members+`}`)
	}
	letter := writes(`"subject":"alice","source":"city_lab","user":"Alice A."`).started(t)
	if letter.ExpiresIn < 29*60 || letter.ExpiresIn > 30*60 || letter.QR != "" || !strings.HasPrefix(letter.URL, c.URL()+"/connect/go/city_lab.") {
		t.Errorf("%+v", letter)
	}
	b := c.browser("")
	page := c.opensTicket(b, letter.URL, "Alice A.", "City lab", "Back to the data sources")
	to := c.comesBack(b, c.decides(c.city, page, sources.Decision{}))
	if !strings.HasSuffix(to, "connect=session_required&source=city_lab") {
		t.Errorf("who is not signed in: %q", to)
	}
	other := c.browser("alice") // another browser of hers ends nothing
	if s := c.states(other, "/status").Sources["city_lab"]; s.Status != "pending" {
		t.Errorf("%+v", s)
	}
	b.signIn("alice")
	c.is(b, "city_lab", "connected ada@people.example  disconnect")

	// Who is signed in already just comes back; on a device that somebody else uses, or
	// whoever reads the letter first, nothing comes of it.
	a := c.browser("alice").do(http.MethodPost, "/connect/start/harbor_lab?device=other", "")
	device := a.started(t)
	if len(a.Cookies()) > 0 {
		t.Errorf("a cookie for another device: %v", a.Cookies())
	}
	reader := c.browser("mallory")
	read := c.comesBack(reader, c.decides(c.harbor, c.opensTicket(reader, device.URL, "alice"), sources.Decision{Account: accountID(3)}))
	if !strings.HasSuffix(read, "connect=consent_required&source=harbor_lab") {
		t.Errorf("who reads it first: %q", read)
	}
	isPage(t, other.navigates(device.URL, "none"), http.StatusGone)
	for _, b := range []*browser{reader, other} {
		if s := c.states(b, "/status").Sources["harbor_lab"]; s.Status == "connected" || s.Account != "" {
			t.Errorf("%+v", s)
		}
	}
	device = other.do(http.MethodPost, "/connect/start/harbor_lab?device=other", "").started(t) // the control
	phone := c.browser("alice")
	if got := c.comesBack(phone, c.decides(c.harbor, c.opensTicket(phone, device.URL), sources.Decision{Account: accountID(1)})); !strings.HasSuffix(got, "connect=connected&source=harbor_lab") {
		t.Errorf("on her phone: %q", got)
	}
	c.is(other, "harbor_lab", "connected ben@people.example  disconnect")

	isCode(t, other.do(http.MethodPost, "/connect/start/city_lab?device=other", `{"client":"native"}`, "Content-Type", "application/json"), http.StatusForbidden, "route_denied")
	writes(`"subject":"alice"`).has(t, http.StatusBadRequest, "source is needed")
	writes(`"subject":"alice","source":"unheard_of"`).has(t, http.StatusNotFound, "no such data source")
	writes(`"subject":"bob","source":"city_lab","update":true`).has(t, http.StatusForbidden, "consent_required")
	c.use("", "")
	writes(`"subject":"alice","source":"city_lab"`).has(t, http.StatusNotFound, "cross_device")
}

// TestT59_Tickets protects people from tickets, states and handles that are swapped
// between tabs, sources, providers and machines: each counts for its own flow alone,
// and on every machine. The control is the flow's own way, over all machines.
func TestT59_Tickets(t *testing.T) {
	_, lines := postgresGrants(t)
	c := startSources(t, "", thenNative)
	text := strings.Replace(c.caddyfileOf("", thenNative), "grants sqlite "+filepath.Join(c.Dir, "grants", "grants.db"), lines, 1)
	from, to := strings.Index(text, "\thandle_path /connect/*"), strings.LastIndex(text, "\thandle {")
	second := strings.NewReplacer("/connect", "/second", "delegate_connect study", "delegate_connect second").Replace(text[from:to])
	text = strings.Replace(text[:to]+second+text[to:], "provider study sources", "provider study sources\n\t\tprovider second sources", 1)
	var at []string
	for range 3 {
		at = append(at, fmt.Sprintf("http://127.0.0.1:%d", newMachine(t, c.Stack, text).port))
	}
	on := func(machine int, address string) string {
		for _, base := range at {
			address = strings.Replace(address, base, at[machine], 1)
		}
		return address
	}
	app, b := c.browser("alice"), c.browser("")
	ticket := func(machine int, path string) string {
		t.Helper()
		a := app.do(http.MethodPost, at[machine]+path, `{"client":"native"}`, "Content-Type", "application/json")
		return a.started(t).URL
	}
	first, tab, other := ticket(0, "/connect/start/city_lab"), ticket(1, "/connect/start/city_lab"), ticket(0, "/second/start/city_lab")
	for name, address := range map[string]string{
		"of another provider": strings.Replace(first, "/connect/", "/second/", 1),
		"of another source":   strings.Replace(first, "city_lab", "harbor_lab", 1),
	} {
		if a := b.navigates(on(1, address), "none"); a.StatusCode != http.StatusGone || vendorLink.MatchString(a.body) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	pages := map[string]string{first: "", tab: "", other: ""}
	for address := range pages { // two tabs of one browser, at machines that have not begun
		pages[address] = c.opensTicket(b, on(2, address), "alice")
	}
	back := c.decides(c.city, pages[first], sources.Decision{Account: accountID(1)})
	backInTab := c.decides(c.city, pages[tab], sources.Decision{Account: accountID(2)})
	for name, address := range map[string]string{
		"another provider's": strings.Replace(back, "/connect/", "/second/", 1),
		"another source's":   strings.Replace(back, "/return/city_lab", "/return/harbor_lab", 1),
	} {
		if got := c.comesBack(b, on(0, address)); strings.Contains(got, "handle=") || strings.Contains(got, "connect=pending") {
			t.Errorf("%s: %q", name, got)
		}
	}
	_, handle := c.returnsToApp(b, on(1, back))
	_, inTab := c.returnsToApp(b, on(0, backInTab))
	_, again := c.returnsToApp(b, on(2, back)) // the page is loaded again, elsewhere
	if handle == "" || inTab == "" || again == "" || again == handle {
		t.Fatalf("%q %q %q", handle, inTab, again)
	}
	finishes := func(machine int, path, handle string, status int, text string) {
		t.Helper()
		a := app.do(http.MethodPost, at[machine]+path+"/finish", `{"handle":"`+handle+`"}`, "Content-Type", "application/json")
		a.has(t, status, text)
	}
	finishes(0, "/second", again, http.StatusGone, "flow_expired")
	finishes(0, "/connect", handle, http.StatusGone, "flow_expired") // which the second took the place of
	finishes(0, "/connect", again, http.StatusOK, `"account":"ben@people.example"`)
	finishes(2, "/connect", again, http.StatusGone, "flow_expired")
	finishes(2, "/connect", inTab, http.StatusOK, `"status":"confirm"`) // another account: the tab that was first stays until its owner decides
	if n := c.city.Counts().Codes; n != 2 {
		t.Errorf("%d codes were redeemed", n)
	}
}
