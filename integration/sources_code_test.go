// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// injected is a vendor's redirect with the code of another one.
func injected(t *testing.T, page, stolen string) string {
	t.Helper()
	begun, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(stolen)
	if err != nil {
		t.Fatal(err)
	}
	query := to.Query()
	query.Set("state", begun.Query().Get("state"))
	to.RawQuery = query.Encode()
	return to.String()
}

// TestSourcesT60_InjectedCode protects people from whoever has got hold of the code in
// their redirect, and puts it into a flow of their own (RFC 9700 section 4.5). Where the
// vendor does PKCE the code is worth nothing there. Where it does not, one that was used
// is not sent again, and an account stays its owner's; the control shows what is left.
func TestSourcesT60_InjectedCode(t *testing.T) {
	for name, test := range map[string]struct {
		plain   bool // the vendor does no PKCE
		before  bool // alice's browser has come back with the code
		another bool // alice is connected already, and the code is of another consent
		outcome string
		codes   int // that have reached the vendor
	}{
		"with PKCE":                                 {outcome: "token_rejected", codes: 1},
		"with PKCE, used":                           {before: true, outcome: "token_rejected", codes: 1},
		"without PKCE, used":                        {plain: true, before: true, outcome: "token_rejected", codes: 1},
		"without PKCE, of a connected account":      {plain: true, another: true, outcome: "account_conflict", codes: 2},
		"control: without PKCE, of a first consent": {plain: true, outcome: "connected", codes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			lines := ""
			if test.plain {
				lines = "pkce off"
			}
			c := startSources(t, lines, "")
			if test.plain {
				c.city.Set(func(s *sources.Settings) { s.PKCE = "refused" })
			}
			alice, mallory := c.browser("alice"), c.browser("mallory")
			if test.another {
				c.connects(alice, "city_lab", c.city, 1)
			}
			stolen := c.decides(c.city, c.begins(alice, "/start/city_lab", ""), sources.Decision{Account: accountID(1)})
			if test.before {
				c.comesBack(alice, stolen)
			}
			got := c.comesBack(mallory, injected(t, c.begins(mallory, "/start/city_lab", ""), stolen))
			if !strings.HasSuffix(got, "connect="+test.outcome+"&source=city_lab") {
				t.Errorf("mallory is sent to %q; want %s", got, test.outcome)
			}
			if n := c.city.Counts(); n.Codes != test.codes || n.CodesReused != 0 {
				t.Errorf("%+v; want %d codes", n, test.codes)
			}
			if test.outcome == "connected" {
				return
			}
			if a := mallory.do(http.MethodGet, "/data/city_lab/measurements", ""); a.StatusCode != http.StatusForbidden && a.StatusCode != http.StatusConflict {
				t.Errorf("mallory reads: %d %s", a.StatusCode, a.body)
			}
			if test.before || test.another {
				c.is(alice, "city_lab", connectedBen)
				if a := alice.do(http.MethodGet, "/data/city_lab/measurements", ""); a.StatusCode != http.StatusOK || !strings.Contains(a.body, accountID(1)) {
					t.Errorf("alice reads: %d %s", a.StatusCode, a.body)
				}
			}
			c.connects(mallory, "city_lab", c.city, 2) // with a code of their own
		})
	}
}

// TestSourcesSlowVendor protects people from a vendor whose exchange and whose answer to
// whose account it is are slow: the code is spent by then, so nothing is cut off. The
// browser goes on, and the page is told that it is pending, and then the outcome.
func TestSourcesSlowVendor(t *testing.T) {
	c := startSources(t, "", "")
	c.city.Set(func(s *sources.Settings) {
		s.Outages = control.Outages{"code": {Delay: 7000}, "account": {Delay: 7000}}
	})
	b := c.browser("alice")
	to := c.decides(c.city, c.begins(b, "/start/city_lab", ""), sources.Decision{Account: accountID(1)})
	if got := c.comesBack(b, to); got != "/profile?tab=data&connect=pending&source=city_lab" {
		t.Fatalf("sent to %q", got)
	}
	c.is(b, "city_lab", "pending   connect disconnect")
	for deadline := time.Now().Add(time.Minute); c.states(b, "/status?wait=25").Status == "pending"; {
		if time.Now().After(deadline) {
			t.Fatal("it stays pending")
		}
	}
	c.is(b, "city_lab", connectedBen)
	if n := c.city.Counts(); n.Codes != 1 || n.Redeemed != 1 {
		t.Errorf("%+v", n)
	}
}
