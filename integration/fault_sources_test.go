// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// TestSourcesDatabaseKilled protects a person's consent from a PostgreSQL that is
// killed while the vendor answers a refresh token: what it has answered cannot be had
// again, so it is kept, and written when the database is back. Who has a live token is
// served meanwhile.
func TestSourcesDatabaseKilled(t *testing.T) {
	f := startSourcesFleet(t, 1, false, "")
	ada, bob := f.browser("ada"), f.browser("bob")
	f.connects(ada, "city_lab", f.city, 1)
	f.connects(bob, "harbor_lab", f.harbor, 2)
	const harbor = "/data/harbor_lab/measurements"
	bob.do(http.MethodGet, harbor, "").want(t, http.StatusOK, "")
	f.city.ExpireAccess()
	f.mode("spent_hold")
	answers := f.asks(ada, 3)
	eventually(t, "the refresh token is spent", func() bool { return f.city.Counts().Refreshed == 1 })
	f.database.Kill()
	f.mode()
	for range 3 {
		isCode(t, <-answers, http.StatusServiceUnavailable, "grants_unavailable")
	}
	isCode(t, ada.do(http.MethodGet, cityMeasurements, ""), http.StatusServiceUnavailable, "grants_unavailable")
	bob.do(http.MethodGet, harbor, "").want(t, http.StatusOK, "")
	if err := f.database.Launch(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is written", func() bool { return ada.do(http.MethodGet, cityMeasurements, "").StatusCode == http.StatusOK })
	spentOnce(t, f.city, 1)
	f.city.ExpireAccess() // the refresh token that was kept is the person's
	served(t, f.asks(ada, 3), 3, accountID(1))
	spentOnce(t, f.city, 2)
	f.is(ada, "city_lab", connectedBen)
}

// TestSourcesRedisKilled protects people from a Redis that is killed while machines
// share a refresh: it saves reads, and decides nothing.
func TestSourcesRedisKilled(t *testing.T) {
	f := startSourcesFleet(t, 2, true, "")
	ada := f.browser("ada")
	f.connects(ada, "city_lab", f.city, 1)
	served(t, f.asks(ada, 4), 4, accountID(1))
	f.city.ExpireAccess()
	f.mode("spent_hold")
	answers := f.asks(ada, 20)
	eventually(t, "the refresh token is spent", func() bool { return f.city.Counts().Refreshed == 1 })
	f.redis.kill()
	f.mode()
	served(t, answers, 20, accountID(1))
	spentOnce(t, f.city, 1)
	f.city.ExpireAccess() // and without it
	served(t, f.asks(ada, 20), 20, accountID(1))
	spentOnce(t, f.city, 2)
	f.redis.start()
	f.city.ExpireAccess() // and while it comes back, with what it has forgotten
	served(t, f.asks(ada, 20), 20, accountID(1))
	spentOnce(t, f.city, 3)
}

// TestSourcesKeysetRotated protects a person's consent from a keyset that is rotated,
// and from grants that are sealed anew, while the vendor answers their refresh token:
// no spent token is written back, and the answer is not lost.
func TestSourcesKeysetRotated(t *testing.T) {
	for _, when := range []string{"slow", "spent_hold"} {
		t.Run(when, func(t *testing.T) {
			c := startSources(t, "", "")
			ada, bob := c.browser("ada"), c.browser("bob")
			c.connects(ada, "city_lab", c.city, 1)
			c.connects(bob, "city_lab", c.city, 2)
			c.city.ExpireAccess()
			c.mode(when)
			// The old configuration's connections end with it.
			target := c.URL() + cityMeasurements
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				if res, err := ada.client.Get(target); err == nil {
					_ = res.Body.Close()
				}
			}()
			eventually(t, "the vendor is asked", func() bool { return c.city.Counts().TokensInFlight == 1 })
			if out, err := command(t, "keyset", "rotate", filepath.Join(c.Dir, "grants", "keyset.json")); err != nil {
				t.Fatal(err, out)
			}
			file := configFile(t, c.Stack, c.caddyfileOf("", ""))
			c.use("", "")
			if out, err := command(t, "grants", "reseal", "--config", file); err != nil || !strings.Contains(out, "Sealed ") {
				t.Error(err, out)
			}
			c.mode()
			<-answered
			for n, b := range []*browser{ada, bob} {
				a := b.do(http.MethodGet, cityMeasurements, "")
				if a.StatusCode != http.StatusOK || !strings.Contains(a.body, accountID(n+1)) {
					t.Errorf("%d: %d %s", n, a.StatusCode, a.body)
				}
			}
			c.city.ExpireAccess()
			for _, b := range []*browser{ada, bob} {
				b.do(http.MethodGet, cityMeasurements, "").want(t, http.StatusOK, "")
			}
			if n := c.city.Counts(); n.RefreshReused != 0 || n.Graced != 0 {
				t.Errorf("%+v", n)
			}
			if n := countEnded(c.city); n != 0 {
				t.Errorf("the vendor has ended %d consents", n)
			}
		})
	}
}

// countEnded returns how many consents a vendor has ended.
func countEnded(v *sources.Vendor) (n int) {
	for _, g := range v.Grants() {
		if g.Ended {
			n++
		}
	}
	return n
}
