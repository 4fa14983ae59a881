// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

const citySleep = "/data/city_lab/sleep"

// updates has a person who is connected at the city lab asked for the scope that the
// sleep needs, and returns the outcome in the address of the app's page.
func (c *sourcesRig) updates(b *browser, d sources.Decision) string {
	c.t.Helper()
	d.Account = accountID(1)
	to := c.comesBack(b, c.decides(c.city, c.begins(b, "/update/city_lab", `{"scopes":["activity.read"]}`), d))
	_, outcome, _ := strings.Cut(to, "connect=")
	return strings.TrimSuffix(outcome, "&source=city_lab")
}

// TestT64_FewerScopes protects people who give less than the app asks for: what they
// gave is served, the rest is refused with the scopes that it needs, and they give more
// later. The control is the same route with the scope.
func TestT64_FewerScopes(t *testing.T) {
	c := startSources(t, "", "")
	c.city.Set(func(s *sources.Settings) { s.Untick = true })
	b := c.browser("alice")
	c.comesBack(b, c.decides(c.city, c.begins(b, "/start/city_lab", ""), sources.Decision{Account: accountID(1), Untick: []string{"activity.read"}}))
	c.is(b, "city_lab", "connected ben@people.example activity.read update disconnect")
	a := b.do(http.MethodGet, citySleep, "")
	if isCode(t, a, http.StatusForbidden, "consent_required"); !strings.Contains(a.body, `"required_scopes":["activity.read"]`) {
		t.Errorf("without the scope: %s", a.body)
	}
	c.serves(b, 1)
	if n := c.city.Counts().Data; n != 1 {
		t.Errorf("%d requests arrived at the API; want that of the scope that was given alone", n)
	}
	if outcome := c.updates(b, sources.Decision{}); outcome != "connected" {
		t.Errorf("asked for more: %s", outcome)
	}
	if a := b.do(http.MethodGet, citySleep, ""); a.StatusCode != http.StatusOK {
		t.Errorf("with the scope: %d %s", a.StatusCode, a.body)
	}
	c.is(b, "city_lab", "connected ben@people.example  disconnect")
}

// TestT64_WiderScopes protects people from a vendor that gives more than the app has
// asked for: nothing is open by it that the policy does not allow, and nothing is lost.
func TestT64_WiderScopes(t *testing.T) {
	c := startSources(t, "", "")
	c.city.Set(func(s *sources.Settings) { s.Wider = []string{"activity.read", "profile.read"} })
	b := c.browser("alice")
	c.comesBack(b, c.decides(c.city, c.begins(b, "/start/city_lab", `{"scopes":["results.read"]}`), sources.Decision{Account: accountID(1)}))
	c.is(b, "city_lab", "connected ben@people.example  disconnect")
	c.serves(b, 1)
	if a := b.do(http.MethodGet, citySleep, ""); a.StatusCode != http.StatusOK {
		t.Errorf("with a scope that was given unasked: %d %s", a.StatusCode, a.body)
	}
	isCode(t, b.do(http.MethodGet, "/data/city_lab/me", ""), http.StatusForbidden, "route_denied") // whose scope the vendor has given, too
}

// TestT64_FailedUpdate protects what somebody has connected while they are asked for
// more: whoever denies, leaves, or comes back to a vendor that fails has what they had,
// and the vendor is told of no end. The same update that succeeds is the control.
func TestT64_FailedUpdate(t *testing.T) {
	for _, mode := range []string{"left", "denied", "400", "500", "garbage", "down", "invalid_grant", "account_500"} {
		t.Run(mode, func(t *testing.T) {
			c := startSources(t, revokeLines, "")
			c.city.Set(func(s *sources.Settings) { s.RevokeAll = true })
			b := c.browser("alice")
			c.comesBack(b, c.decides(c.city, c.begins(b, "/start/city_lab", `{"scopes":["results.read"]}`), sources.Decision{Account: accountID(1)}))
			switch mode {
			case "left":
				c.begins(b, "/update/city_lab", "")
			case "denied":
				if outcome := c.updates(b, sources.Decision{Deny: true}); outcome != "consent_denied" {
					t.Errorf("denied: %s", outcome)
				}
			default:
				if err := c.city.SetMode(mode); err != nil {
					t.Fatal(err)
				}
				if outcome := c.updates(b, sources.Decision{}); outcome == "connected" || outcome == "" {
					t.Errorf("the vendor fails: %s", outcome)
				}
				if err := c.city.SetMode(); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // with the former access token, and by the former refresh token
				c.is(b, "city_lab", "connected ben@people.example activity.read update disconnect")
				c.serves(b, 1)
				isCode(t, b.do(http.MethodGet, citySleep, ""), http.StatusForbidden, "consent_required")
				c.city.ExpireAccess()
			}
			if outcome := c.updates(b, sources.Decision{}); outcome != "connected" {
				t.Errorf("the control: %s", outcome)
			}
			if a := b.do(http.MethodGet, citySleep, ""); a.StatusCode != http.StatusOK {
				t.Errorf("with the scope: %d %s", a.StatusCode, a.body)
			}
			if n := c.city.Counts().Revocations; n != 0 {
				t.Errorf("the vendor was told %d times", n)
			}
		})
	}
}
