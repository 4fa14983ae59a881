// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// startedFlow is what is answered to who wants to consent on another device.
type startedFlow struct {
	URL, QR   string
	ExpiresIn int `json:"expires_in"`
}

func (a answer) started(t testing.TB) (d startedFlow) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || a.StatusCode != http.StatusOK || d.URL == "" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return d
}

// TestMydexOtherDevice protects somebody who reads the code with a phone: the
// phone connects them once they are signed in there, and the page that shows
// the code is told.
func TestMydexOtherDevice(t *testing.T) {
	c := startMydex(t, "", "cross_device")
	desk := c.browser("alice")
	a := desk.do(http.MethodPost, "/connect/mydex/start?device=other", "")
	e := a.started(t)
	if e.ExpiresIn < 14*60 || e.ExpiresIn > 15*60 || !strings.HasPrefix(e.QR, "data:image/png;base64,") || len(a.Cookies()) > 0 {
		t.Errorf("%d s, %.30s, %v", e.ExpiresIn, e.QR, a.Cookies())
	}
	desk.status("pending")
	phone := c.browser("")
	to := phone.agree(e.URL, c.mydex.Members()[0].UID)
	phone.returnTo(to, "session_required")
	desk.status("pending") // the address alone ends nothing
	phone.signIn("alice")
	phone.status("connected") // the page after signing in asks, and that ends it
	desk.status("connected")
	desk.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	// Who is signed in on the phone already just comes back.
	bob := c.browser("bob").do(http.MethodPost, "/connect/mydex/start?device=other", "").started(t)
	phone = c.browser("bob")
	phone.returnTo(phone.agree(bob.URL, c.mydex.Members()[1].UID), "connected")

	for _, query := range []string{"?device=", "?device=phone", "?device=other&device=other"} {
		desk.do(http.MethodPost, "/connect/mydex/start"+query, "").want(t, http.StatusForbidden, "route_denied")
	}
}

// TestT56_MydexOtherDevice protects a member who is sent the code of somebody
// else's consent flow: wherever and as whomever they come back, the other does not
// get their store. Without cross_device, nobody can begin so.
func TestT56_MydexOtherDevice(t *testing.T) {
	c := startMydex(t, "", "cross_device 5m")
	mallory := c.browser("mallory")
	attack := func() string {
		return mallory.do(http.MethodPost, "/connect/mydex/start?device=other", "").started(t).URL
	}
	victim := c.browser("victim")
	victim.returnTo(victim.agree(attack(), c.mydex.Members()[0].UID), "consent_required")
	victim.status("none")
	later := c.browser("")
	to := later.agree(attack(), c.mydex.Members()[0].UID)
	later.returnTo(to, "session_required")
	later.signIn("victim")
	later.status("none")
	mallory.status("pending")
	mallory.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	// The page that shows the code cannot end it either: it does not know where
	// the phone came back to.
	state, _ := url.Parse(to)
	at, _ := url.Parse(c.URL())
	for _, cookie := range mallory.client.Jar.Cookies(at) {
		if strings.Contains(cookie.Value, state.Query().Get("state")) {
			t.Error("who began knows the address to come back to")
		}
	}

	c = startMydex(t, "", "")
	alice := c.browser("alice")
	alice.do(http.MethodPost, "/connect/mydex/start?device=other", "").want(t, http.StatusForbidden, "route_denied")
	alice.status("none")
	newAdmin(t, c.Stack).send(http.MethodPost, "/delegate/journeys", `{"provider":"mydex","realm":"default","subject":"alice"}`).has(t, http.StatusNotFound, "cross_device")
}

func (a answer) has(t testing.TB, status int, text string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body, text) {
		t.Errorf("%d %s; want %d with %s", a.StatusCode, a.body, status, text)
	}
}

// TestMydexLetterReadByAnother protects somebody who is connected, and to whom
// the operator has written, from whoever reads the letter first and consents
// with an account of their own.
func TestMydexLetterReadByAnother(t *testing.T) {
	c := startMydex(t, "", "cross_device 5m")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	letter := func(uid string) {
		t.Helper()
		d := newAdmin(t, c.Stack).send(http.MethodPost, "/delegate/journeys", `{"provider":"mydex","realm":"default","subject":"alice"}`).started(t)
		alice.returnTo(c.browser("").agree(d.URL, uid), "account_conflict")
	}
	letter(c.mydex.Members()[1].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	// Not either while what she has is put aside.
	c.mydex.Set(func(s *mydex.Settings) { s.Outages = map[string]simulator.Outage{"pdx": {Status: 401}} })
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	c.mydex.Set(func(s *mydex.Settings) { s.Outages = nil })
	letter(c.mydex.Members()[2].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	if uri := c.crossed().URI; !strings.Contains(uri, "/"+c.mydex.Members()[0].UID+".json") {
		t.Errorf("alice's data went to %s", uri)
	}
	alice.status("update_required")
}

// TestMydexNoLongerElsewhere protects operators who take cross_device away:
// what was begun before does not end after.
func TestMydexNoLongerElsewhere(t *testing.T) {
	c := startMydex(t, "", "cross_device 5m")
	before := c.URL()
	d := c.browser("alice").do(http.MethodPost, "/connect/mydex/start?device=other", "").started(t)
	c.load("", "")
	phone := c.browser("alice")
	_ = phone.start("/start") // so that it has a cookie
	to := strings.Replace(phone.agree(d.URL, c.mydex.Members()[0].UID), before, c.URL(), 1)
	phone.returnTo(to, "consent_required")
	phone.status("pending") // by its own start
}

// TestMydexWait protects a page that shows the code from asking over and over:
// one question waits until the phone is back, also for somebody who consents
// again.
func TestMydexWait(t *testing.T) {
	c := startMydex(t, "", "cross_device")
	desk, uid := c.browser("alice"), c.mydex.Members()[0].UID
	for range 2 {
		d := desk.do(http.MethodPost, "/connect/mydex/start?device=other", "").started(t)
		desk.status("pending")
		asked := make(chan answer)
		go func() { asked <- desk.do(http.MethodGet, "/connect/mydex/status?wait=20", "") }()
		phone := c.browser("alice")
		phone.returnTo(phone.agree(d.URL, uid), "connected")
		if a := <-asked; !strings.Contains(a.body, `"connected"`) {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		desk.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
		c.mydex.Withdraw(uid)
		desk.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
		desk.status("update_required")
	}
}

// TestMydexConsentLog protects operators who have to account for who gave what
// up, and members, whom no line names.
func TestMydexConsentLog(t *testing.T) {
	c := startMydex(t, "", "")
	text, file := logged(t, c.caddyfile("", ""))
	load(t, c.Stack, text)
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
	c.mydex.Set(func(s *mydex.Settings) { s.KeepKey = true })
	uid := c.mydex.Members()[0].UID
	alice, mallory := c.browser("alice-canary"), c.browser("mallory-canary")
	alice.connect(uid)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	mallory.returnTo(mallory.agree(mallory.start("/start"), uid), "account_conflict")
	c.mydex.Withdraw(uid)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	if a := alice.do(http.MethodDelete, "/connect/mydex/", "", "Sec-Fetch-Site", "same-origin"); a.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	counted := func(event string) bool {
		return strings.Contains(newAdmin(t, c.Stack).send(http.MethodGet, "/metrics", "").body, `caddy_delegate_consents_total{event="`+event+`",provider="mydex",source=""}`)
	}
	c.browser("").do(http.MethodPost, "/connect/mydex/callback/"+mydexSegment, "{}")
	for _, event := range []string{"conflict", "suspended", "forgotten", "not_taken"} {
		if !counted(event) {
			t.Errorf("%s is not counted", event)
		}
	}
	found, _ := lines(t, file, "consent")
	var events []string
	for _, line := range found {
		events = append(events, fmt.Sprint(line["event"], " ", line["by"]))
		if text := fmt.Sprint(line); strings.Contains(text, "canary") || strings.Contains(text, uid) {
			t.Errorf("a line names somebody: %s", text)
		}
	}
	want := []string{"begun user", "told platform", "connected user", "begun user", "told platform", "conflict user", "suspended platform", "forgotten user"}
	if !slices.Equal(events, want) {
		t.Errorf("%q", events)
	}
}
