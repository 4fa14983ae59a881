// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// sent presses the button and returns what the page is told.
func (d *demo) sent(t *testing.T) *crowdResult {
	t.Helper()
	status, body := d.press(t, "/demo/crowd")
	var r *crowdResult
	if err := json.Unmarshal([]byte(body), &r); err != nil || status != http.StatusOK {
		t.Fatalf("the crowd: %d, %v: %s", status, err, body)
	}
	return r
}

// What the button is there to show: a call per person, not per client; none
// while tokens are at hand, whatever the issuer does; and when there is neither
// token nor issuer, an answer for everybody without a storm.
func TestCrowd(t *testing.T) {
	d := running(t)
	before := d.look(t)
	check := func(what string, r *crowdResult, good, fewest, calls int) {
		t.Helper()
		if r.Good != good || r.Calls < fewest || r.Calls > calls || r.Clients != clients || r.People != people || r.Slowest <= 0 || r.Most > 16 || (r.Calls > 0) != (r.Most > 0) {
			t.Errorf("%s: %+v; want %d good answers and %d to %d token calls", what, r, good, fewest, calls)
		}
	}
	check("cold", d.sent(t), clients, people+1, people+1)
	check("warm", d.sent(t), clients, 0, 0)
	d.switched(t, "issuer-down", "on")
	check("warm, issuer down", d.sent(t), clients, 0, 0)
	d.dropped(t)
	// More than one on a slow machine: one more each time the breaker lets
	// somebody try.
	r := d.sent(t)
	check("cold, issuer down", r, 0, 1, 10)
	if want := map[string]int{"503 issuer_unavailable": clients}; !maps.Equal(r.Refused, want) {
		t.Errorf("refused %v, want %v", r.Refused, want)
	}
	s := d.look(t)
	if got := s.Caddy.Requests - before.Caddy.Requests; got != 4*clients || s.Caddy.Refused-before.Caddy.Refused != clients {
		t.Errorf("Caddy counted %d requests, %d refused", got, s.Caddy.Refused-before.Caddy.Refused)
	}
	if s.Running || s.Latest == nil || s.Latest.Refused["503 issuer_unavailable"] != clients {
		t.Errorf("everybody else is shown %+v", s.Latest)
	}
}

// Two people who press at the same time must not double the load, and both
// have to see that it is on, who waits, and that no more than 16 calls are made
// at once.
func TestOneCrowdAtATime(t *testing.T) {
	d := running(t)
	before := d.sent(t)
	d.stack.Platform.Revoke("")
	d.stack.Platform.Set(func(s *simulator.Settings) { s.Outages = map[string]simulator.Outage{tokenArea: {Hold: true}} })
	second := make(chan *crowdResult, 1)
	go func() { second <- d.crowd.send(t.Context()) }()
	s := d.eventually(t, "waiting", func(s engineState) bool { return s.Running && s.Caddy.Waiting >= 16 && s.Issuer.Now == 16 })
	if s.Latest == nil || !s.Latest.At.Equal(before.At) {
		t.Errorf("there is another result already: %+v", s.Latest)
	}
	if status, _ := d.press(t, "/demo/crowd"); status != http.StatusConflict {
		t.Errorf("the one who pressed later: %d", status)
	}
	d.issuer.setDown(false)
	r := <-second
	if r == nil || r.Most != 16 || r.Calls < people || r.Good == 0 {
		t.Errorf("%+v", r)
	}
	if s := d.look(t); s.Running || s.Latest == nil || s.Caddy.Waiting != 0 || s.Issuer.Now != 0 || s.Issuer.Most != 16 {
		t.Errorf("afterwards: %+v", s)
	}
}

// A client that gets no answer, or one without a code, is counted all the same.
func TestRushAdds(t *testing.T) {
	r := &crowdResult{Refused: make(map[string]int)}
	for _, o := range []outcome{{200, "", 5}, {0, "no_answer", 9}, {401, "", 1}, {503, "overloaded", 2}, {503, "overloaded", 3}} {
		r.add(o)
	}
	if want := map[string]int{"no_answer": 1, "401": 1, "503 overloaded": 2}; r.Good != 1 || r.Slowest != 9 || !maps.Equal(r.Refused, want) {
		t.Errorf("%+v, want %v refused", r, want)
	}
}
