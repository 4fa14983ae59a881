// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// TestSourcesSteps protects people on the whole way: two sources are connected, their
// data are read as the person, an access token that has ended is replaced, and one
// source is disconnected while the other stays.
func TestSourcesSteps(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	if s := c.states(b, "/status"); s.Status != "none" || len(s.Sources) != 2 || s.Sources["city_lab"].APIBase != c.cityURL+"/v1" {
		t.Errorf("before: %+v", s)
	}
	c.is(b, "city_lab", "none   connect")
	isCode(t, b.do(http.MethodGet, "/data/city_lab/measurements", ""), http.StatusForbidden, "consent_required")

	page := c.begins(b, "/start/city_lab", "")
	c.is(b, "city_lab", "pending   connect disconnect")
	if s := c.states(b, "/status"); s.Status != "pending" {
		t.Errorf("under way: %+v", s)
	}
	if to := c.comesBack(b, c.decides(c.city, page, sources.Decision{Account: accountID(1)})); to != "/profile?tab=data&connect=connected&source=city_lab" {
		t.Errorf("sent to %q", to)
	}
	c.is(b, "city_lab", "connected ben@people.example  disconnect")
	c.connects(b, "harbor_lab", c.harbor, 2)
	if s := c.states(b, "/status/harbor_lab"); s.Status != "connected" || len(s.Sources) != 1 || s.Sources["harbor_lab"].Account != "cleo@people.example" {
		t.Errorf("one source: %+v", s)
	}
	for path, account := range map[string]string{"city_lab": accountID(1), "harbor_lab": accountID(2)} {
		if a := b.do(http.MethodGet, "/data/"+path+"/measurements", ""); a.StatusCode != http.StatusOK || !strings.Contains(a.body, account) {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}

	c.city.ExpireAccess()
	if a := b.do(http.MethodGet, "/data/city_lab/measurements", ""); a.StatusCode != http.StatusOK || c.city.Counts().Refreshed != 1 {
		t.Errorf("after the token's end: %d %s, %d refreshes", a.StatusCode, a.body, c.city.Counts().Refreshed)
	}

	if a := b.do(http.MethodDelete, "/connect/city_lab", ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("disconnect: %d %s", a.StatusCode, a.body)
	}
	isCode(t, b.do(http.MethodGet, "/data/city_lab/measurements", ""), http.StatusForbidden, "consent_required")
	c.is(b, "city_lab", "none   connect")
	if a := b.do(http.MethodGet, "/data/harbor_lab/measurements", ""); a.StatusCode != http.StatusOK {
		t.Errorf("the other source: %d %s", a.StatusCode, a.body)
	}
	if a := b.do(http.MethodPost, "/connect/disconnect", ""); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/profile?tab=data&connect=none" {
		t.Errorf("all: %d %q %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	if s := c.states(b, "/status"); s.Status != "none" {
		t.Errorf("after all: %+v", s)
	}
}

// TestSourcesScopes protects people who give less than the app would like, and apps
// that need more later: the page is told what is missing, a route says which scopes it
// needs, and what was granted is asked for again, so that more never becomes less.
func TestSourcesScopes(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	isCode(t, b.do(http.MethodPost, "/connect/update/city_lab", ""), http.StatusForbidden, "consent_required")
	for _, body := range []string{`{"scopes":["profile.read"]}`, `{"scopes":"results.read profile.read"}`, `{"scopes":1}`, `{"scope":["results.read"]}`, `[]`, `{"scopes":["results.read activity.read"]}`} {
		isCode(t, b.do(http.MethodPost, "/connect/start/city_lab", body, "Content-Type", "application/json"), http.StatusForbidden, "route_denied")
	}
	page := c.begins(b, "/start/city_lab", `{"scopes":["results.read"]}`)
	c.comesBack(b, c.decides(c.city, page, sources.Decision{}))
	c.is(b, "city_lab", "connected ada@people.example activity.read update disconnect")
	if a := b.do(http.MethodGet, "/data/city_lab/measurements", ""); a.StatusCode != http.StatusOK {
		t.Errorf("a route within what was granted: %d %s", a.StatusCode, a.body)
	}
	a := b.do(http.MethodGet, "/data/city_lab/sleep", "")
	isCode(t, a, http.StatusForbidden, "consent_required")
	if !strings.Contains(a.body, `"required_scopes":["activity.read"]`) {
		t.Errorf("the route does not say what it needs: %s", a.body)
	}
	page = c.begins(b, "/update/city_lab", `{"scopes":"activity.read"}`)
	if !strings.Contains(page, "scope=results.read%20activity.read") {
		t.Errorf("the update asks for less than before: %s", page)
	}
	c.comesBack(b, c.decides(c.city, page, sources.Decision{}))
	c.is(b, "city_lab", "connected ada@people.example  disconnect")
	if a := b.do(http.MethodGet, "/data/city_lab/sleep", ""); a.StatusCode != http.StatusOK {
		t.Errorf("after the update: %d %s", a.StatusCode, a.body)
	}
}

// TestSourcesReturns protects people from flows that are not theirs (T59): a state
// counts for its own source, browser and user alone, and whatever comes back leads to
// the app's page with the reason.
func TestSourcesReturns(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	page := c.begins(b, "/start/city_lab", "")
	to := c.decides(c.city, page, sources.Decision{})
	if got := c.comesBack(b, strings.Replace(to, "/return/city_lab", "/return/harbor_lab", 1)); !strings.HasSuffix(got, "connect=consent_required&source=harbor_lab") {
		t.Errorf("the state of another source: %q", got)
	}
	if got := c.comesBack(c.browser("mallory"), to); !strings.HasSuffix(got, "connect=consent_required&source=city_lab") {
		t.Errorf("another user and browser: %q", got)
	}
	if got := c.comesBack(b, to); !strings.HasSuffix(got, "connect=connected&source=city_lab") {
		t.Errorf("the one who began: %q", got)
	}

	denied := c.decides(c.harbor, c.begins(b, "/start/harbor_lab", ""), sources.Decision{Deny: true})
	if got := c.comesBack(b, denied); !strings.HasSuffix(got, "connect=consent_denied&source=harbor_lab") {
		t.Errorf("denied: %q", got)
	}
	c.is(b, "harbor_lab", "none   connect")

	bob := c.browser("bob")
	if got := c.comesBack(bob, c.decides(c.city, c.begins(bob, "/start/city_lab", ""), sources.Decision{})); !strings.HasSuffix(got, "connect=account_conflict&source=city_lab") {
		t.Errorf("the account of another user: %q", got)
	}
	if s := c.states(bob, "/status").Sources["city_lab"]; s.Status != "none" || s.Code != "account_conflict" {
		t.Errorf("status of who has connected another's account: %+v", s)
	}
	c.is(b, "city_lab", "connected ada@people.example  disconnect")
}

// TestSourcesTwoTabs protects who connects two sources at the same time, in two tabs:
// neither takes the other's place in the browser's cookies.
func TestSourcesTwoTabs(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	city, harbor := c.begins(b, "/start/city_lab", ""), c.begins(b, "/start/harbor_lab", "")
	for source, to := range map[string]string{
		"city_lab":   c.decides(c.city, city, sources.Decision{}),
		"harbor_lab": c.decides(c.harbor, harbor, sources.Decision{}),
	} {
		if got := c.comesBack(b, to); !strings.HasSuffix(got, "connect=connected&source="+source) {
			t.Errorf("%s: %q", source, got)
		}
	}
}

// TestSourcesPaths protects operators and people from requests for what there is
// not: no path is read as another one.
func TestSourcesPaths(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	for _, path := range []string{"/start", "/start/", "/start/other", "/start/city_lab/more", "/update", "/return", "/status/other", "/other", "/redeem", "/logo/city_lab", "/logo", "/city_lab/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			isCode(t, b.do(method, "/connect"+path, ""), http.StatusForbidden, "route_denied")
		}
	}
	for _, target := range []string{"GET /start/city_lab", "POST /return/city_lab", "POST /status", "PUT /city_lab", "GET /", "GET /city_lab", "DELETE /disconnect"} {
		method, path, _ := strings.Cut(target, " ")
		isCode(t, b.do(method, "/connect"+path, ""), http.StatusMethodNotAllowed, "method_not_allowed")
	}
	nobody := c.browser("")
	for _, target := range []string{"GET /status", "POST /start/city_lab", "DELETE /", "POST /disconnect/city_lab"} {
		method, path, _ := strings.Cut(target, " ")
		isCode(t, nobody.do(method, "/connect"+path, ""), http.StatusUnauthorized, "session_required")
	}
	isCode(t, b.do(http.MethodPost, "/connect/start/city_lab", "", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), http.StatusForbidden, "cross_origin")
}

// TestSourcesWait protects pages that wait for a popup by /status?wait: the answer
// comes when no source is pending any more, with all that is connected by then.
func TestSourcesWait(t *testing.T) {
	c := startSources(t, "", "")
	b := c.browser("alice")
	city, harbor := c.begins(b, "/start/city_lab", ""), c.begins(b, "/start/harbor_lab", "")
	answered := make(chan answer, 1)
	began := time.Now()
	go func() { answered <- b.do(http.MethodGet, "/connect/status?wait=25", "") }()
	c.comesBack(b, c.decides(c.city, city, sources.Decision{}))
	select {
	case a := <-answered:
		t.Fatalf("while harbor_lab is pending: %d %s", a.StatusCode, a.body)
	case <-time.After(time.Second): // it looks twice a second
	}
	c.comesBack(b, c.decides(c.harbor, harbor, sources.Decision{}))
	a := <-answered
	if a.StatusCode != http.StatusOK || strings.Count(a.body, `"status":"connected"`) != 3 || time.Since(began) > 20*time.Second {
		t.Errorf("after %s: %d %s", time.Since(began), a.StatusCode, a.body)
	}
}
