// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// scrape reads the module's metrics from Prometheus' text format.
func scrape(t *testing.T, text string) map[string]float64 {
	t.Helper()
	values := make(map[string]float64)
	// To Prometheus an empty label is none.
	text = strings.NewReplacer(`,source=""`, "").Replace(text)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || !strings.HasPrefix(name, "caddy_delegate_") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		values[strings.TrimPrefix(name, "caddy_delegate_")] = number
	}
	return values
}

// measured is a Caddyfile with an admin endpoint and a site's own metrics page.
func measured(caddyfile string) string {
	return strings.Replace(administered(caddyfile), "handle {", "handle /metrics {\n\t\tmetrics\n\t}\n\thandle {", 1)
}

// TestMetrics protects an operator's graphs: each request and each call for a
// token is counted once, whichever of Caddy's two pages is read, over reloads;
// and no series names a person.
func TestMetrics(t *testing.T) {
	caddyfile := measured(stack.Caddyfile)
	s := start(t, caddyfile)
	secrets := newWiretap(t, s)
	a, u := newAdmin(t, s), signIn(t, s, "alice")
	read := func() map[string]float64 {
		t.Helper()
		page, own := a.send(http.MethodGet, "/metrics", ""), u.get("/metrics")
		checkNobody(t, "the admin's metrics", page.body, secrets)
		checkNobody(t, "the site's metrics", own.body, secrets)
		first, second := scrape(t, page.body), scrape(t, own.body)
		for name, value := range first {
			if second[name] != value && !strings.Contains(name, "duration") {
				t.Errorf("%s is %v at the admin endpoint and %v at the site", name, value, second[name])
			}
		}
		return first
	}
	u.get(participantPath).want(t, http.StatusOK, "")
	start := read()
	want := func(since map[string]float64, requests float64, changes map[string]float64) {
		t.Helper()
		now := read()
		for name, change := range changes {
			if got := now[name] - since[name]; got != change {
				t.Errorf("%s: %+v, want %+v", name, got, change)
			}
		}
		var total float64
		for name, value := range now {
			if strings.HasPrefix(name, "requests_total") {
				total += value - since[name]
			}
		}
		if total != requests {
			t.Errorf("%v requests were counted, want %v", total, requests)
		}
	}
	const (
		forwarded = `requests_total{outcome="forwarded",provider="mydatahelps",source=""}`
		hits      = `tokens_total{provider="mydatahelps",result="hit"}`
		mints     = `mints_total{outcome="ok",provider="mydatahelps",reason="first",token="delegated"}`
		services  = `mints_total{outcome="ok",provider="mydatahelps",reason="first",token="service"}`
		again     = `mints_total{outcome="ok",provider="mydatahelps",reason="stale",token="delegated"}`
		durations = `mint_duration_seconds_count{provider="mydatahelps",token="delegated"}`
		purges    = `purges_total{provider="mydatahelps"}`
		entries   = `entries{provider="mydatahelps"}`
		closed    = `issuer_breaker{provider="mydatahelps",state="closed"}`
	)
	for name, value := range map[string]float64{entries: 2, closed: 1, `waiting{provider="mydatahelps"}`: 0, `minting{provider="mydatahelps"}`: 0} {
		if got, ok := start[name]; !ok || got != value {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
	u.get(participantPath).want(t, http.StatusOK, "")
	u.do(u.request(http.MethodPost, "/mdh-token", nil)).want(t, http.StatusOK, "")
	u.get("/mdh/api/v1/administration/x").want(t, http.StatusForbidden, "route_denied")
	nobody := signIn(t, s, "nobody")
	nobody.get(participantPath).want(t, http.StatusForbidden, "participant_unknown")
	s.Platform.Revoke("")
	u.get(participantPath).want(t, http.StatusOK, "") // healed, and forwarded once
	s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = []string{stack.Alice.ID} })
	u.get(echoPath).want(t, http.StatusBadGateway, "upstream_unauthorized")
	s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = nil })
	want(start, 6, map[string]float64{
		forwarded: 2, again: 2, mints: 0, durations: 2, purges: 0,
		`requests_total{outcome="answered",provider="mydatahelps",source=""}`:              1,
		`requests_total{outcome="route_denied",provider="mydatahelps",source=""}`:          1,
		`requests_total{outcome="participant_unknown",provider="mydatahelps",source=""}`:   1,
		`requests_total{outcome="upstream_unauthorized",provider="mydatahelps",source=""}`: 1,
	})

	for range 3 {
		since := read()
		load(t, s, caddyfile)
		u.get(participantPath).want(t, http.StatusOK, "")
		want(since, 1, map[string]float64{forwarded: 1, hits: 1, mints: 0, entries: 0})
		since = read()
		a.purge("", `"mydatahelps"`)
		u.get(participantPath).want(t, http.StatusOK, "")
		// The hit is the service token, which the lookup has obtained.
		want(since, 1, map[string]float64{forwarded: 1, hits: 1, mints: 1, services: 1, durations: 1, purges: 1, entries: 0})
	}

	// Another name, so that the old one's state is gone.
	load(t, s, strings.NewReplacer("provider mydatahelps", "provider renamed mydatahelps",
		"delegate_proxy mydatahelps", "delegate_proxy renamed", "delegate_token mydatahelps", "delegate_token renamed").Replace(caddyfile))
	u.get(participantPath).want(t, http.StatusOK, "")
	got := read()
	if _, ok := got[entries]; ok || got[`entries{provider="renamed"}`] != 2 || got[forwarded] == 0 {
		t.Errorf("after the provider was renamed: %v", got)
	}
}
