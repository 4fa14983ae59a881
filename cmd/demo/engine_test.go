// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// look returns what the page is told.
func (d *demo) look(t *testing.T) engineState {
	t.Helper()
	status, body := d.do(t, "", "GET", "/demo/engine")
	var s engineState
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != http.StatusOK {
		t.Fatalf("/demo/engine: %d, %v: %s", status, err, body)
	}
	return s
}

// press sends what a control of the page sends.
func (d *demo) press(t *testing.T, path string, header ...string) (status int, body string) {
	t.Helper()
	return d.do(t, "", "POST", path, header...)
}

// switched flips a switch and fails the test if that does not work.
func (d *demo) switched(t *testing.T, name, on string) {
	t.Helper()
	if status, body := d.press(t, "/demo/switch/"+name+"/"+on); status != http.StatusNoContent {
		t.Fatalf("switch %s %s: %d %s", name, on, status, body)
	}
}

// dropped has every token dropped.
func (d *demo) dropped(t *testing.T) {
	t.Helper()
	if status, body := d.press(t, "/demo/drop"); status != http.StatusNoContent {
		t.Fatalf("drop: %d %s", status, body)
	}
}

// eventually waits until the page's state is as wanted.
func (d *demo) eventually(t *testing.T, what string, ok func(engineState) bool) engineState {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		s := d.look(t)
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %s within a minute: %+v", what, s)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// The numbers have to be Caddy's own: one call, one request, and what it took.
func TestCountersAreCaddys(t *testing.T) {
	d := running(t)
	alice := d.stack.App.SignIn("alice", time.Time{})
	before := d.look(t)
	want := func(what string, requests, refused, first, replaced, failed, entries, calls int) {
		t.Helper()
		now := d.look(t)
		got := [...]int{
			now.Caddy.Requests - before.Caddy.Requests, now.Caddy.Refused - before.Caddy.Refused,
			now.Caddy.First - before.Caddy.First, now.Caddy.Replaced - before.Caddy.Replaced,
			now.Caddy.Failed - before.Caddy.Failed, now.Caddy.Entries, now.Issuer.Calls,
		}
		if all := [...]int{requests, refused, first, replaced, failed, entries, calls}; got != all {
			t.Errorf("%s: requests, refused, first, replaced, failed, at hand, token calls: %v, want %v", what, got, all)
		}
	}
	want("nothing has happened", 0, 0, 0, 0, 0, 0, 0)
	d.do(t, alice, "GET", apiPath)
	want("a first call", 1, 0, 2, 0, 0, 2, 2)
	d.do(t, alice, "GET", apiPath)
	want("a second call", 2, 0, 2, 0, 0, 2, 2)
	d.do(t, alice, "GET", "/mdh/api/v1/administration/x")
	want("a refused call", 3, 1, 2, 0, 0, 2, 2)
	d.stack.Platform.Revoke(stack.Alice.ID)
	d.do(t, alice, "GET", apiPath)
	want("after a revocation", 4, 1, 2, 1, 0, 2, 3)
	d.dropped(t)
	want("tokens dropped", 4, 1, 2, 1, 0, 0, 3)
}

// Two names of a metric that are mixed up would make the demo tell stories.
func TestReadMetrics(t *testing.T) {
	got := readMetrics([]byte(`# HELP caddy_delegate_requests_total Requests.
caddy_delegate_requests_total{outcome="forwarded",provider="mydatahelps"} 1
caddy_delegate_requests_total{outcome="answered",provider="mydatahelps"} 10
caddy_delegate_requests_total{outcome="client_left",provider="mydatahelps"} 100
caddy_delegate_requests_total{outcome="issuer_unavailable",provider="mydatahelps"} 1000
caddy_delegate_requests_total{outcome="forwarded",provider="other"} 5
caddy_delegate_tokens_total{provider="mydatahelps",result="hit"} 7
caddy_delegate_tokens_total{provider="mydatahelps",result="remembered"} 8
caddy_delegate_mints_total{outcome="ok",provider="mydatahelps",reason="first",token="service"} 1
caddy_delegate_mints_total{outcome="ok",provider="mydatahelps",reason="first",token="delegated"} 2
caddy_delegate_mints_total{outcome="ok",provider="mydatahelps",reason="ahead",token="delegated"} 4
caddy_delegate_mints_total{outcome="ok",provider="mydatahelps",reason="stale",token="delegated"} 5
caddy_delegate_mints_total{outcome="issuer_unavailable",provider="mydatahelps",reason="ahead",token="delegated"} 6
caddy_http_requests_total{provider="mydatahelps"} 9
caddy_delegate_requests_total{outcome="forwarded",provider="mydatahelps"} none
`))
	want := counters{Requests: 1111, Refused: 1000, First: 3, Ahead: 4, Replaced: 5, Failed: 6, Remembered: 8}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What the section promises: down is down for who needs a token, and nobody
// else; and it ends.
func TestIssuerDown(t *testing.T) {
	d := running(t)
	alice, bob := d.stack.App.SignIn("alice", time.Time{}), d.stack.App.SignIn("bob", time.Time{})
	d.do(t, alice, "GET", apiPath)
	d.switched(t, "issuer-down", "on")
	if s := d.look(t); !s.Issuer.Down {
		t.Errorf("the switch does not show: %+v", s.Issuer)
	}
	if status, _ := d.do(t, alice, "GET", apiPath); status != http.StatusOK {
		t.Errorf("Alice, whose token is at hand: %d", status)
	}
	if status, body := d.do(t, bob, "GET", apiPath); status != http.StatusServiceUnavailable || !strings.Contains(body, `"issuer_unavailable"`) {
		t.Errorf("Bob, who has none: %d %s", status, body)
	}
	d.dropped(t)
	d.do(t, alice, "GET", apiPath) // no service token either: nobody can be served
	if s := d.look(t); s.Caddy.Issuer.State == circuit.Closed || s.Caddy.Failed == 0 {
		t.Errorf("the breaker does not show: %+v", s.Caddy)
	}
	d.switched(t, "issuer-down", "off")
	if s := d.look(t); s.Issuer.Down {
		t.Errorf("the switch still shows: %+v", s.Issuer)
	}
	d.eventually(t, "back", func(engineState) bool {
		status, _ := d.do(t, bob, "GET", apiPath)
		return status == http.StatusOK
	})
}

// Who is refused without a call for a token has to be seen: that is what spares
// the issuer.
func TestRefusedFromMemory(t *testing.T) {
	d := running(t)
	alice := d.stack.App.SignIn("alice", time.Time{})
	d.do(t, alice, "GET", apiPath)
	before := d.look(t)
	d.switched(t, "issuer-down", "on")
	d.stack.Platform.Revoke(stack.Alice.ID)
	s := d.eventually(t, "refused from memory", func(s engineState) bool {
		if status, _ := d.do(t, alice, "GET", apiPath); status != http.StatusServiceUnavailable {
			t.Fatalf("Alice, whose token is revoked: %d", status)
		}
		return s.Caddy.Remembered > before.Caddy.Remembered
	})
	if s.Caddy.Failed == before.Caddy.Failed {
		t.Error("the call that was made and failed does not show")
	}
}

// Thirty seconds have to be thirty seconds, and an hour an hour again.
func TestShortTokens(t *testing.T) {
	d := running(t)
	r := d.carol
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		on          string
		least, most time.Duration
	}{{"on", 0, 30 * time.Second}, {"off", 50 * time.Minute, time.Hour}} {
		d.switched(t, "short-tokens", c.on)
		d.dropped(t)
		if s := d.look(t); !s.Issuer.CarolEnds.IsZero() {
			t.Error("Carol's dropped token still shows")
		}
		if o := callAPI(t.Context(), client, r.base, r.session); !o.good() {
			t.Fatalf("Carol's call: %+v", o)
		}
		s := d.look(t)
		if left := time.Until(s.Issuer.CarolEnds); left <= c.least || left > c.most {
			t.Errorf("with the switch %s: Carol's token lives %v longer", c.on, left)
		}
		if got := s.Issuer.Short; got != (c.on == "on") {
			t.Errorf("with the switch %s it shows %v", c.on, got)
		}
	}
}

// Carol calls while she is switched on and no longer, whoever presses twice.
func TestCarol(t *testing.T) {
	d := running(t)
	if s := d.look(t); s.Carol != (regularState{}) || s.Caddy.Entries != 0 {
		t.Errorf("she was not switched on: %+v", s)
	}
	d.switched(t, "carol", "on")
	d.switched(t, "carol", "on")
	s := d.eventually(t, "three calls", func(s engineState) bool { return s.Carol.InRow >= 3 })
	if !s.Carol.On || !s.Carol.Last.good() || s.Issuer.CarolEnds.IsZero() {
		t.Errorf("%+v, %+v", s.Carol, s.Issuer)
	}
	d.switched(t, "carol", "off")
	d.switched(t, "carol", "off")
	s = d.look(t)
	if s.Carol.On || d.carol.stop != nil {
		t.Errorf("she is not off: %+v", s.Carol)
	}
	d.carol.record(outcome{Status: http.StatusServiceUnavailable, Code: "issuer_unavailable"})
	if got := d.carol.state(); got.InRow != 1 {
		t.Errorf("a failure counts as number %d of a row of good calls", got.InRow)
	}
}

// A switch that another site can press, or that guesses what was meant, is
// none.
func TestSwitchesAreGuarded(t *testing.T) {
	d := running(t)
	before := d.stack.Platform.Settings()
	for _, path := range []string{"/demo/switch/issuer-down/on", "/demo/switch/short-tokens/on", "/demo/switch/carol/on", "/demo/drop", "/demo/crowd"} {
		if status, _ := d.press(t, path, "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, status)
		}
		if status, _ := d.do(t, "", "GET", path); status == http.StatusNoContent || status == http.StatusOK {
			t.Errorf("GET %s: %d", path, status)
		}
	}
	for _, path := range []string{"/demo/switch/issuer-down/true", "/demo/switch/everything/on"} {
		if status, _ := d.press(t, path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	s := d.look(t)
	if after := d.stack.Platform.Settings(); after.Outages["token"].Status != before.Outages["token"].Status || s.Issuer.Short || s.Carol.On || s.Latest != nil {
		t.Errorf("something was switched: %+v", s)
	}
}

// The page shows people's states to everybody: nothing of theirs may be in it.
func TestEngineStateNamesNobody(t *testing.T) {
	d := running(t)
	alice := d.stack.App.SignIn("alice", time.Time{})
	d.do(t, alice, "GET", apiPath)
	d.press(t, "/demo/crowd")
	_, body := d.do(t, alice, "GET", "/demo/engine")
	for _, secret := range []string{"alice", stack.Alice.ID, alice, d.carol.session, carol.ID, d.crowd.sessions[0], simulator.SampleParticipants(1)[0].Identifier} {
		if strings.Contains(body, secret) {
			t.Errorf("%s is in %s", secret, body)
		}
	}
	for _, r := range d.stack.Platform.Records() {
		if _, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.Contains(body, token) {
			t.Error("a token is in it")
		}
	}
}
