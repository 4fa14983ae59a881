// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

const cityMeasurements = "/data/city_lab/measurements"

// TestSourcesVendorInTrouble protects every grant from a vendor in trouble: requests
// are told to wait while it issues no tokens, and all goes on when it is well again.
func TestSourcesVendorInTrouble(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 1)
	for _, mode := range []string{"400", "500", "garbage", "down"} {
		c.city.ExpireAccess()
		if err := c.city.SetMode(mode); err != nil {
			t.Fatal(err)
		}
		a := b.do(http.MethodGet, cityMeasurements, "")
		isCode(t, a, http.StatusServiceUnavailable, "issuer_unavailable")
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: nobody is told when to try again", mode)
		}
		c.is(b, "city_lab", "connected ben@people.example  disconnect")
		if err := c.city.SetMode(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "data after "+mode, func() bool { return b.do(http.MethodGet, cityMeasurements, "").StatusCode == http.StatusOK })
	}
	if n := c.city.Counts().RefreshReused; n != 0 {
		t.Errorf("%d spent refresh tokens were sent", n)
	}
}

// TestT62_RefreshedOnce protects a vendor's refresh token from being spent twice, which
// ends the consent at vendors that rotate: of many requests at once one refreshes.
func TestT62_RefreshedOnce(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 1)
	for range 3 {
		before := c.city.Counts().Refreshed
		c.city.ExpireAccess()
		var all sync.WaitGroup
		var served atomic.Int64
		for range 50 {
			all.Go(func() {
				if b.do(http.MethodGet, cityMeasurements, "").StatusCode == http.StatusOK {
					served.Add(1)
				}
			})
		}
		all.Wait()
		counts := c.city.Counts()
		if served.Load() != 50 || counts.Refreshed != before+1 || counts.RefreshReused != 0 {
			t.Errorf("%d served, %d refreshes, %d reused", served.Load(), counts.Refreshed-before, counts.RefreshReused)
		}
	}
}

// TestSourcesRevokedAtVendor protects somebody whom their vendor has refused once from
// being asked to consent anew at once, and who has ended the consent there from being
// told so before it is certain.
func TestSourcesRevokedAtVendor(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 1)
	c.city.Withdraw(accountID(1))
	for range 3 {
		a := b.do(http.MethodGet, cityMeasurements, "")
		isCode(t, a, http.StatusServiceUnavailable, "issuer_unavailable")
		if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 20 {
			t.Errorf("tried again in %q", a.Header.Get("Retry-After"))
		}
	}
	if n := c.city.Counts().Refreshes; n != 1 {
		t.Errorf("the vendor was asked %d times", n)
	}
	c.is(b, "city_lab", "connected ben@people.example  disconnect")
	// Who connects again meanwhile is served at once.
	c.connects(b, "city_lab", c.city, 1)
	if a := b.do(http.MethodGet, cityMeasurements, ""); a.StatusCode != http.StatusOK {
		t.Errorf("connected again: %d %s", a.StatusCode, a.body)
	}
}

// TestSourcesSpentRefreshToken protects a person whose vendor has rotated their refresh
// token, and whose answer got lost, from waiting for what does not come: it is tried
// once more, and they are asked to consent anew. A vendor that has a grace loses
// nothing.
func TestSourcesSpentRefreshToken(t *testing.T) {
	for _, graceful := range []bool{false, true} {
		t.Run(strconv.FormatBool(graceful), func(t *testing.T) {
			lines := ""
			if graceful {
				lines = "grace 1h"
			}
			c := startSources(t, lines, "")
			b := c.browser("alice")
			c.connects(b, "city_lab", c.city, 1)
			if graceful {
				c.city.Set(func(s *sources.Settings) { s.Grace = 3600 })
			}
			if err := c.city.SetMode("spent_drop"); err != nil {
				t.Fatal(err)
			}
			c.city.ExpireAccess()
			isCode(t, b.do(http.MethodGet, cityMeasurements, ""), http.StatusServiceUnavailable, "issuer_unavailable")
			if err := c.city.SetMode(); err != nil {
				t.Fatal(err)
			}
			var last answer
			eventually(t, "the second try", func() bool {
				last = b.do(http.MethodGet, cityMeasurements, "")
				return last.StatusCode != http.StatusServiceUnavailable
			})
			if graceful {
				if last.StatusCode != http.StatusOK || c.city.Counts().Graced != 1 {
					t.Errorf("%d %s, %d within the grace", last.StatusCode, last.body, c.city.Counts().Graced)
				}
				return
			}
			isCode(t, last, http.StatusForbidden, "consent_required")
			if n := c.city.Counts().RefreshReused; n != 1 {
				t.Errorf("the spent refresh token was sent %d times more", n)
			}
			if s := c.states(b, "/status").Sources["city_lab"]; s.Status != "update_required" || !strings.Contains(strings.Join(s.Actions, " "), "connect") {
				t.Errorf("%+v", s)
			}
			c.connects(b, "city_lab", c.city, 1)
			if a := b.do(http.MethodGet, cityMeasurements, ""); a.StatusCode != http.StatusOK {
				t.Errorf("connected again: %d %s", a.StatusCode, a.body)
			}
		})
	}
}
