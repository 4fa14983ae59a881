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

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
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
// else's journey: wherever and as whomever they come back, the other does not
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

// TestMydexOfficeOfSeveral protects operators with several delegate_connect
// from a letter that leads to the wrong one, or that nobody can end.
func TestMydexOfficeOfSeveral(t *testing.T) {
	c := startMydex(t, "", "")
	one := c.caddyfile("", "cross_device 2m\n\t\t\trealm staff")
	site := one[strings.Index(one, "http://127.0.0.1:[[.Port]] {"):]
	longer := strings.NewReplacer("http://127.0.0.1:[[.Port]] {", "http://localhost:[[.Port]] {", "cross_device 2m", "cross_device 1h").Replace(site)
	other := strings.NewReplacer("http://127.0.0.1:[[.Port]] {", "http://another.localhost:[[.Port]] {", "[[.Port]]/connect/mydex", "[[.Port]]/connect/another").Replace(site)
	load(t, c.Stack, one+longer+other)
	office := newAdmin(t, c.Stack)
	order := func(rest string) answer {
		return office.send(http.MethodPost, "/delegate/journeys", `{"provider":"mydex","subject":"alice",`+rest+`}`)
	}
	order(`"realm":"staff"`).has(t, http.StatusBadRequest, "name one by its url")
	order(`"realm":"default"`).has(t, http.StatusNotFound, "that realm")
	if d := order(`"realm":"staff","url":"` + c.URL() + `/connect/mydex"`).started(t); d.ExpiresIn > 120 {
		t.Errorf("of two of the same address, the one of %d s", d.ExpiresIn)
	}
	// A configuration in JSON is held to the same limits.
	err := c.Load(c.caddyfile("", "cross_device 1m"))
	if err != nil {
		t.Error(err)
	}
	text, err := c.Render(c.caddyfile("", "cross_device 1m"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := stack.Adapt(text)
	if err != nil {
		t.Fatal(err)
	}
	parsed := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON([]byte(strings.Replace(string(config), "60000000000", "1000000000", 1)), parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(parsed); err == nil || !strings.Contains(err.Error(), "from 1m to 24h") {
		t.Error(err)
	}
}

// TestMydexOffice protects a member whom the operator writes to: the link is
// theirs alone, and what is ordered by mistake is said. Each step is in the log
// and counted, and names nobody unless the operator says so.
func TestMydexOffice(t *testing.T) {
	c := startMydex(t, "", "")
	text, file := logged(t, c.caddyfile("\n\t\tlog_subject clear", "cross_device 1h"))
	load(t, c.Stack, text)
	c.mydex.SetCallbackURL(c.URL() + "/connect/mydex/callback/" + mydexSegment)
	office := newAdmin(t, c.Stack)
	e := office.send(http.MethodPost, "/delegate/journeys", `{"provider":"mydex","realm":"default","subject":"alice"}`).started(t)
	if e.ExpiresIn < 59*60 || e.ExpiresIn > 3600 {
		t.Errorf("%d s", e.ExpiresIn)
	}
	phone := c.browser("")
	to := phone.agree(e.URL, c.mydex.Members()[0].UID)
	c.browser("bob").returnTo(to, "consent_required") // a link that was passed on
	phone.signIn("alice")
	phone.returnTo(to, "connected")
	phone.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")

	again := office.send(http.MethodPost, "/delegate/journeys", `{"provider":"mydex","realm":"default","subject":"alice","update":true,"url":"`+c.URL()+`/connect/mydex"}`).started(t)
	phone.returnTo(phone.agree(again.URL, c.mydex.Members()[0].UID), "connected")
	if n := len(c.mydex.Deliveries()); n != 2 || c.mydex.Deliveries()[1].Method != http.MethodPut {
		t.Errorf("%+v", c.mydex.Deliveries())
	}

	for body, want := range map[string]string{
		`{"provider":"mydex","realm":"default"}`:                                         "provider, realm and subject are needed",
		`{"provider":"mydex","realm":"default","subject":"alice","user":"x"}`:            "no JSON object of",
		`{"provider":"mydex","realm":"default","subject":"CANARY"}{}`:                    "there is more",
		`{"provider":"nobodys","realm":"default","subject":"alice"}`:                     "there is no such provider",
		`{"provider":"mydex","realm":"default","subject":"bob","update":true}`:           "consent_required",
		`{"provider":"mydex","realm":"default","subject":"bob","url":"https://x.test/"}`: "that url",
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
		return strings.Contains(newAdmin(t, c.Stack).send(http.MethodGet, "/metrics", "").body, `caddy_delegate_consents_total{event="`+event+`",provider="mydex"}`)
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
