// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// failing has a person connect to the city lab, whose token endpoint then fails in
// some way when the access token has ended. It returns the answer to a data call.
func failing(t *testing.T, lines, mode string, change func(*sources.Settings)) (*sourcesRig, *browser, answer) {
	t.Helper()
	c := startSources(t, lines, "")
	c.city.Set(change)
	b := c.browser("ada")
	c.connects(b, "city_lab", c.city, 1)
	c.city.ExpireAccess()
	if err := c.city.SetMode(mode); err != nil {
		t.Fatal(err)
	}
	return c, b, b.do(http.MethodGet, "/data/city_lab/measurements", "")
}

// recovers has the vendor work again, and returns the first data call's answer of the
// wanted status, within ten seconds: the module waits between its attempts.
func (c *sourcesRig) recovers(t *testing.T, b *browser, want int) answer {
	t.Helper()
	if err := c.city.SetMode(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		a := b.do(http.MethodGet, "/data/city_lab/measurements", "")
		if a.StatusCode == want {
			return a
		}
		if time.Now().After(deadline) {
			t.Errorf("the vendor works again: %d %s; want %d; %+v", a.StatusCode, a.body, want, c.city.Counts())
			return a
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const connectedBen = "connected ben@people.example  disconnect"

// TestSourcesVendorFails protects people's consents from vendors that fail: only an
// invalid_grant that can be read may end one, and not the first. Whoever calls is told
// whose fault it is.
func TestSourcesVendorFails(t *testing.T) {
	for mode, want := range map[string]struct {
		code   string
		status int
		soon   bool // it is tried again within seconds
	}{
		"400":            {"issuer_unavailable", http.StatusServiceUnavailable, true},
		"500":            {"issuer_unavailable", http.StatusServiceUnavailable, true},
		"down":           {"issuer_unavailable", http.StatusServiceUnavailable, true},
		"garbage":        {"issuer_unavailable", http.StatusServiceUnavailable, true},
		"429":            {"issuer_throttled", http.StatusServiceUnavailable, false},
		"401":            {"credentials_rejected", http.StatusBadGateway, false},
		"invalid_client": {"credentials_rejected", http.StatusBadGateway, false},
		"invalid_grant":  {"issuer_unavailable", http.StatusServiceUnavailable, false},
	} {
		t.Run(mode, func(t *testing.T) {
			c, b, a := failing(t, "", mode, func(*sources.Settings) {})
			isCode(t, a, want.status, want.code)
			c.is(b, "city_lab", connectedBen)
			if n := c.city.Counts(); n.Refreshes != 1 {
				t.Errorf("refreshes: %+v", n)
			}
			if want.soon {
				c.recovers(t, b, http.StatusOK)
				c.is(b, "city_lab", connectedBen)
			}
		})
	}
}

// TestSourcesAnswerLost protects people from the loss of an answer to a refresh token
// that the vendor has spent. With a grace nothing is lost. Without one the old token is
// tried once more and no oftener, and the person is told to connect again.
func TestSourcesAnswerLost(t *testing.T) {
	grace := func(s *sources.Settings) { s.Grace, s.GraceUntilUsed, s.ReuseEnds = 8*3600, true, false }
	for _, mode := range []string{"spent_drop", "spent_500", "spent_html"} {
		t.Run(mode+", grace", func(t *testing.T) {
			c, b, a := failing(t, "grace 8h", mode, grace)
			isCode(t, a, http.StatusServiceUnavailable, "issuer_unavailable")
			c.recovers(t, b, http.StatusOK)
			c.is(b, "city_lab", connectedBen)
			if n := c.city.Counts(); n.Graced != 1 || n.RefreshReused != 0 {
				t.Errorf("%+v", n)
			}
		})
		t.Run(mode+", no grace", func(t *testing.T) {
			c, b, a := failing(t, "", mode, func(*sources.Settings) {})
			isCode(t, a, http.StatusServiceUnavailable, "issuer_unavailable")
			isCode(t, c.recovers(t, b, http.StatusForbidden), http.StatusForbidden, "consent_required")
			c.is(b, "city_lab", "update_required ben@people.example  connect disconnect")
			if n := c.city.Counts(); n.RefreshReused != 1 || n.Refreshes != 2 {
				t.Errorf("%+v", n)
			}
		})
	}
}
