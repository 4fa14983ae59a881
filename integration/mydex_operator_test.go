// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestMydexOperatorOfSeveral protects operators with several delegate_connect
// from a letter that leads to the wrong one, or that nobody can end.
func TestMydexOperatorOfSeveral(t *testing.T) {
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

// TestMydexOperatorStart protects a member whom the operator writes to: the link is
// theirs alone, and what is ordered by mistake is said. Each step is in the log
// and counted, and names nobody unless the operator says so.
func TestMydexOperatorStart(t *testing.T) {
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
		`{"provider":"mydex","realm":"default","subject":"alice","user":"x"}`:            "leave them out",
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
		if !strings.Contains(metrics.body, `caddy_delegate_consents_total{event="`+event+`",provider="mydex",source=""}`) {
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
