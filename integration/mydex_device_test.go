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

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// departure is what is answered to who wants to consent on another device.
type departure struct {
	URL, QR   string
	ExpiresIn int `json:"expires_in"`
}

func (a answer) departs(t testing.TB) (d departure) {
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
	c := mydexed(t, "", "cross_device")
	desk := c.browser("alice")
	a := desk.do(http.MethodPost, "/connect/mydex/start?device=other", "")
	e := a.departs(t)
	if e.ExpiresIn < 14*60 || e.ExpiresIn > 15*60 || !strings.HasPrefix(e.QR, "data:image/png;base64,") || len(a.Cookies()) > 0 {
		t.Errorf("%d s, %.30s, %v", e.ExpiresIn, e.QR, a.Cookies())
	}
	desk.status("pending")
	phone := c.browser("")
	to := phone.agree(e.URL, c.mydex.Members()[0].UID)
	phone.back(to, "session_required")
	desk.status("pending") // the address alone ends nothing
	phone.signIn("alice")
	phone.status("connected") // the page after signing in asks, and that ends it
	desk.status("connected")
	desk.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	// Who is signed in on the phone already just comes back.
	bob := c.browser("bob").do(http.MethodPost, "/connect/mydex/start?device=other", "").departs(t)
	phone = c.browser("bob")
	phone.back(phone.agree(bob.URL, c.mydex.Members()[1].UID), "connected")

	for _, query := range []string{"?device=", "?device=phone", "?device=other&device=other"} {
		desk.do(http.MethodPost, "/connect/mydex/start"+query, "").want(t, http.StatusForbidden, "route_denied")
	}
}

// TestMydexSignedOutMeanwhile protects a journey from a session that is not
// there when the browser comes back: it has ended, or is sent to pages of the
// app alone (SameSite=Strict). The app's next question ends the journey.
func TestMydexSignedOutMeanwhile(t *testing.T) {
	c := mydexed(t, "", "")
	alice := c.browser("alice")
	to := alice.agree(alice.depart("/start"), c.mydex.Members()[0].UID)
	at, _ := url.Parse(c.URL())
	alice.client.Jar.SetCookies(at, []*http.Cookie{{Name: stack.CookieName, Path: "/", MaxAge: -1}})
	alice.back(to, "session_required")
	alice.signIn("alice")
	alice.status("connected")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	// Who signs in there instead gets nothing of it.
	bob := c.browser("bob")
	to = bob.agree(bob.depart("/start"), c.mydex.Members()[1].UID)
	bob.client.Jar.SetCookies(at, []*http.Cookie{{Name: stack.CookieName, Path: "/", MaxAge: -1}})
	bob.back(to, "session_required")
	bob.signIn("mallory")
	bob.status("none")
	bob.signIn("bob")
	bob.status("connected")
}

// TestT56_MydexOtherDevice protects a member who is sent the code of somebody
// else's journey: wherever and as whomever they come back, the other does not
// get their store. Without cross_device, nobody can begin so.
func TestT56_MydexOtherDevice(t *testing.T) {
	c := mydexed(t, "", "cross_device 5m")
	mallory := c.browser("mallory")
	attack := func() string {
		return mallory.do(http.MethodPost, "/connect/mydex/start?device=other", "").departs(t).URL
	}
	victim := c.browser("victim")
	victim.back(victim.agree(attack(), c.mydex.Members()[0].UID), "consent_required")
	victim.status("none")
	later := c.browser("")
	to := later.agree(attack(), c.mydex.Members()[0].UID)
	later.back(to, "session_required")
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

	c = mydexed(t, "", "")
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

// TestMydexOffice protects a member whom the operator writes to: the link is
// theirs alone, and what is ordered by mistake is said. Each step is in the log
// and counted, and names nobody unless the operator says so.
func TestMydexOffice(t *testing.T) {
	c := mydexed(t, "", "")
	text, file := logged(t, c.caddyfile("\n\t\tlog_subject clear", "cross_device 1h"))
	load(t, c.Stack, text)
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
	office := newAdmin(t, c.Stack)
	e := office.send(http.MethodPost, "/delegate/journeys", `{"provider":"mydex","realm":"default","subject":"alice"}`).departs(t)
	if e.ExpiresIn < 59*60 || e.ExpiresIn > 3600 {
		t.Errorf("%d s", e.ExpiresIn)
	}
	phone := c.browser("")
	to := phone.agree(e.URL, c.mydex.Members()[0].UID)
	c.browser("bob").back(to, "consent_required") // a link that was passed on
	phone.signIn("alice")
	phone.back(to, "connected")
	phone.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	again := office.send(http.MethodPost, "/delegate/journeys", `{"provider":"mydex","realm":"default","subject":"alice","update":true,"url":"`+c.URL()+`/connect/mydex"}`).departs(t)
	phone.back(phone.agree(again.URL, c.mydex.Members()[0].UID), "connected")
	if n := len(c.mydex.Deliveries()); n != 2 || c.mydex.Deliveries()[1].Method != http.MethodPut {
		t.Errorf("%+v", c.mydex.Deliveries())
	}

	for body, want := range map[string]string{
		`{"provider":"mydex","realm":"default"}`:                                         "provider, realm and subject are needed",
		`{"provider":"mydex","realm":"default","subject":"alice","user":"x"}`:            "no JSON object of",
		`{"provider":"mydex","realm":"default","subject":"CANARY"}{}`:                    "there is more",
		`{"provider":"nobodys","realm":"default","subject":"alice"}`:                     "there is no such provider",
		`{"provider":"mydex","realm":"default","subject":"bob","update":true}`:           "consent_required",
		`{"provider":"mydex","realm":"default","subject":"bob","url":"https://x.test/"}`: "has that url",
	} {
		if a := office.send(http.MethodPost, "/delegate/journeys", body); a.StatusCode/100 != 4 || !strings.Contains(a.body, want) || strings.Contains(a.body, "CANARY") {
			t.Errorf("%s: %d %s; want %s", body, a.StatusCode, a.body, want)
		}
	}
	office.send(http.MethodGet, "/delegate/journeys", "").has(t, http.StatusMethodNotAllowed, "POST")
	office.send(http.MethodPost, "/delegate/journeys", `{}`, "Content-Type", "text/plain").has(t, http.StatusBadRequest, "application/json")

	metrics := office.send(http.MethodGet, "/metrics", "")
	for _, event := range []string{"begun", "told", "connected"} {
		if !strings.Contains(metrics.body, `caddy_delegate_consents_total{event="`+event+`",provider="mydex"}`) {
			t.Errorf("%s is not counted", event)
		}
	}
	found, _ := lines(t, file, "consent")
	var events []string
	for _, line := range found {
		events = append(events, fmt.Sprint(line["event"], " ", line["by"], " ", line["subject"]))
	}
	want := []string{"begun operator alice", "told platform <nil>", "connected user alice"}
	if !slices.Equal(events, slices.Concat(want, want)) {
		t.Errorf("%q", events)
	}
}
