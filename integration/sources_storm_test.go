// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// TestSourcesCodeOnce protects people whose browser follows the vendor's redirect many
// times at once, as with a button pressed again and again: a code that arrives twice
// has the vendor end the consent.
func TestSourcesCodeOnce(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("ada")
	to := c.decides(c.city, c.begins(b, "/start/city_lab", ""), sources.Decision{Account: accountID(1)})
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			b.do(http.MethodGet, to, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
		})
	}
	all.Wait()
	if n := c.city.Counts(); n.Codes != 1 || n.Redeemed != 1 || n.CodesReused != 0 {
		t.Errorf("%+v", n)
	}
	c.is(b, "city_lab", connectedBen)
	if a := b.do(http.MethodGet, "/data/city_lab/measurements", ""); a.StatusCode != http.StatusOK {
		t.Errorf("data: %d %s", a.StatusCode, a.body)
	}
}

// TestSourcesRefreshStorm protects a vendor from a morning on which everybody's access
// token has ended, and people from a refresh token that is spent twice: several calls
// of one person share one refresh, and the vendor sees sixteen at once at most.
func TestSourcesRefreshStorm(t *testing.T) {
	const people, calls = 60, 3
	c := startSources(t, "", "")
	browsers := make([]*browser, people)
	for i := range browsers {
		browsers[i] = c.browser("person-" + strconv.Itoa(i))
		c.connects(browsers[i], "city_lab", c.city, i)
	}
	c.city.ExpireAccess()
	c.city.Set(func(s *sources.Settings) { s.Outages = control.Outages{"refresh": {Delay: 50}} })
	c.city.Reset()
	var all sync.WaitGroup
	for i, b := range browsers {
		for range calls {
			all.Go(func() {
				a := b.do(http.MethodGet, "/data/city_lab/measurements?limit=1", "")
				if a.StatusCode != http.StatusOK || !strings.Contains(a.body, accountID(i)) {
					t.Errorf("person %d: %d %s", i, a.StatusCode, a.body)
				}
			})
		}
	}
	all.Wait()
	if n := c.city.Counts(); n.Refreshes != people || n.Refreshed != people || n.RefreshReused != 0 || n.TokensAtOnce > 16 {
		t.Errorf("%+v", n)
	}
}
