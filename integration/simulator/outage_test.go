// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Quotas are what makes a wasteful proxy fail; RateLimit headers are how a
// careful one knows.
func TestQuotas(t *testing.T) {
	p := newPlatform(t)
	p.Set(func(s *Settings) { s.AdminQuota, s.DelegatedQuota = 2, 2 })
	a, b := p.participantToken(alice.ID), p.participantToken(bob.ID)
	const target = "/api/v1/delegated/participant"
	check := func(r response, status int, limit, remaining, reset string) {
		t.Helper()
		wantStatus(t, r, status)
		h := r.Header
		if h.Get("Ratelimit-Limit") != limit || h.Get("Ratelimit-Remaining") != remaining || h.Get("Ratelimit-Reset") != reset {
			t.Errorf("RateLimit %s %s %s, want %s %s %s", h.Get("Ratelimit-Limit"), h.Get("Ratelimit-Remaining"), h.Get("Ratelimit-Reset"), limit, remaining, reset)
		}
	}
	check(p.call("GET", target, a, ""), 200, "2", "1", "3600")
	p.pass(600 * time.Second)
	check(p.call("GET", "/api/v1/delegated/nothing", a, ""), 404, "2", "0", "3000")
	check(p.call("GET", target, a, ""), 429, "2", "0", "3000")
	check(p.call("GET", target, b, ""), 200, "2", "1", "3600")

	service := p.serviceToken()
	check(p.call("GET", adminPath("/alice"), service, ""), 200, "2", "1", "3600")
	check(p.call("GET", adminPath("/alice"), "", ""), 401, "2", "1", "3600")
	check(p.call("GET", adminPath("/nobody"), service, ""), 404, "2", "0", "3600")
	r := p.call("GET", adminPath("/alice"), service, "")
	check(r, 429, "2", "0", "3600")
	if r.json["message"] == nil {
		t.Errorf("429 says %s", r.body)
	}
	p.pass(time.Hour)
	check(p.call("GET", adminPath("/alice"), p.serviceToken(), ""), 200, "2", "1", "3600")
	p.Set(func(s *Settings) { s.AdminQuota = 0 })
	check(p.call("GET", adminPath("/alice"), p.serviceToken(), ""), 200, "", "", "")
	if n := p.Counts().Throttled; n != 2 {
		t.Errorf("%d counted as throttled, want 2", n)
	}
}

// One area's trouble must stay there, and end when it is told to.
func TestOutages(t *testing.T) {
	p := newPlatform(t)
	service, own := p.serviceToken(), p.participantToken(alice.ID)
	const target = "/api/v1/delegated/participant"
	set := func(area string, o Outage) { p.Set(func(s *Settings) { s.Outages = map[string]Outage{area: o} }) }

	set(areaToken, Outage{Status: 502, Body: "<html>", Header: map[string]string{"Content-Type": "text/html", "Retry-After": "7"}})
	r := p.ask(p.serviceForm())
	if r.StatusCode != 502 || r.body != "<html>" || r.Header.Get("Retry-After") != "7" {
		t.Errorf("%d %v %s", r.StatusCode, r.Header, r.body)
	}
	wantStatus(t, p.call("GET", target, own, ""), 200)
	set(areaAdmin, Outage{Status: 503})
	wantStatus(t, p.call("GET", adminPath(""), service, ""), 503)
	wantStatus(t, p.call("GET", target, own, ""), 200)

	set(areaDelegated, Outage{Reset: true})
	if res, err := http.DefaultTransport.RoundTrip(p.request("GET", target, own, "")); err == nil {
		_ = res.Body.Close()
		t.Errorf("the connection was not reset: %d", res.StatusCode)
	}
	wantStatus(t, p.call("GET", adminPath(""), service, ""), 200)

	set(areaDelegated, Outage{Delay: 1})
	wantStatus(t, p.call("GET", target, own, ""), 200)

	// Held calls wait, then meet what is true by then.
	set(areaDelegated, Outage{Hold: true})
	req := p.request("GET", target, own, "")
	status := make(chan int)
	go func() {
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			status <- 0
			return
		}
		_ = res.Body.Close()
		status <- res.StatusCode
	}()
	until(t, "the call to arrive", func() bool { return p.Counts().InFlight == 1 })
	p.Revoke(alice.ID)
	p.Set(func(s *Settings) { s.Outages = nil })
	if got := <-status; got != 401 {
		t.Errorf("held call: status %d, want 401 for a token revoked meanwhile", got)
	}
}

// Over HTTP/2 there is no connection to take over: a reset must end the stream
// and nothing else.
func TestResetOverHTTP2(t *testing.T) {
	p := newPlatform(t)
	server := httptest.NewUnstartedServer(p.MyDataHelps)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	token := p.participantToken(alice.ID)
	get := func() (status int, err error) {
		req := p.request("GET", "/api/v1/delegated/participant", token, "")
		req.URL.Scheme, req.URL.Host = "https", server.Listener.Addr().String()
		res, err := server.Client().Do(req)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	p.Set(func(s *Settings) { s.Outages = map[string]Outage{areaDelegated: {Reset: true}} })
	if status, err := get(); err == nil {
		t.Errorf("the stream was not reset: %d", status)
	}
	p.Set(func(s *Settings) { s.Outages = nil })
	status, err := get()
	if err != nil {
		t.Fatal(err)
	}
	if all := p.Records(); status != 200 || all[len(all)-1].Proto != "HTTP/2.0" {
		t.Errorf("status %d by %s", status, all[len(all)-1].Proto)
	}
}
