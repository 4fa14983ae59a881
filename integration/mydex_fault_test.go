// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// TestMydexFailedReload protects connected members from a reload that is
// refused: the running configuration keeps its database.
func TestMydexFailedReload(t *testing.T) {
	c := startMydex(t, "", "")
	alice, bob := c.browser("alice"), c.browser("bob")
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	if err := c.Load(c.caddyfile("\n\t\tgrants sqlite /proc/nowhere/grants.db", "")); err == nil {
		t.Fatal("a database that cannot be made is no error")
	}
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	bob.status("none")
	bob.connect(c.mydex.Members()[1].UID)
	bob.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}

// TestMydexBackAgain protects the platform from somebody who opens the address
// of a consent flow that is over again and again, and from what that could undo.
func TestMydexBackAgain(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	page := alice.start("/start")
	at, _ := url.Parse(c.URL())
	kept := alice.client.Jar.Cookies(at)
	to := alice.agree(page, c.mydex.Members()[0].UID)
	alice.returnTo(to, "connected")
	c.mydex.Withdraw(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusForbidden, "consent_required")
	before := c.mydex.Counts()
	for range 20 {
		alice.client.Jar.SetCookies(at, kept)
		alice.returnTo(to, "consent_required")
	}
	if after := c.mydex.Counts(); after.TokenRequests != before.TokenRequests || after.PDX != before.PDX {
		t.Errorf("%+v, before %+v", after, before)
	}
	alice.status("update_required")
}

// TestMydexTwoTabs protects somebody who begins twice, and from pages of other
// sites that send the browser to the address in between.
func TestMydexTwoTabs(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	first, second := alice.start("/start"), alice.start("/start")
	alice.returnTo("/connect/mydex/return?state=x", "consent_required")
	one, two := alice.agree(first, c.mydex.Members()[0].UID), alice.agree(second, c.mydex.Members()[0].UID)
	alice.returnTo(one, "consent_required") // the platform has given a newer key since
	alice.returnTo(two, "connected")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	for range 3 {
		_ = alice.start("/start")
	}
	alice.do(http.MethodPost, "/connect/mydex/start", "").want(t, http.StatusTooManyRequests, "too_many_requests")
}

// TestMydexRefusesEverybody protects members from a platform that for a moment
// refuses them all: few are put aside, and those are tried again.
func TestMydexRefusesEverybody(t *testing.T) {
	c := startMydex(t, "", "")
	var people []*browser
	for i := range 8 {
		b := c.browser("user-" + string(rune('a'+i)))
		b.connect(c.mydex.Members()[i].UID)
		b.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
		people = append(people, b)
	}
	c.mydex.Set(func(s *mydex.Settings) { s.Outages = map[string]simulator.Outage{"pdx": {Status: 401}} })
	for _, b := range people {
		_ = b.do(http.MethodGet, dataset, "")
	}
	c.mydex.Set(func(s *mydex.Settings) { s.Outages = nil })
	aside := 0
	for _, b := range people {
		if b.do(http.MethodGet, dataset, "").StatusCode == http.StatusForbidden {
			aside++
		}
	}
	if aside > 3 {
		t.Errorf("%d of %d have to consent anew", aside, len(people))
	}
}

// TestMydexStart401 protects the token endpoint from an identity host that
// says 401 to everything.
func TestMydexStart401(t *testing.T) {
	c := startMydex(t, "", "")
	c.mydex.Set(func(s *mydex.Settings) { s.Outages = map[string]simulator.Outage{"setup": {Status: 401}} })
	before := c.mydex.Counts().TokenRequests
	for n := range 10 {
		c.browser("user-"+string(rune('a'+n))).do(http.MethodPost, "/connect/mydex/start", "").want(t, http.StatusBadGateway, "upstream_unauthorized")
	}
	if n := c.mydex.Counts().TokenRequests - before; n > 1 {
		t.Errorf("%d tokens for 10 starts", n)
	}
}

// TestMydexPages protects browsers from being sent anywhere but to a page.
func TestMydexPages(t *testing.T) {
	c := startMydex(t, "", "")
	page := ""
	c.front.Store(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/ftc/setup" {
			return false
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"url":"` + page + `","qr":"data:text/html,x"}`))
		return true
	})
	for _, page = range []string{"javascript:alert(1)", "http://login.example.org/x", "//evil.example/", "", "data:text/html,x", "https://u:p@login.example.org/"} {
		c.browser("user of "+page).do(http.MethodPost, "/connect/mydex/start", "").want(t, http.StatusServiceUnavailable, "issuer_unavailable")
	}
	page = "https://login.example.org/ftc/begin/1?x#y"
	if a := c.browser("alice").do(http.MethodPost, "/connect/mydex/start", ""); a.StatusCode != http.StatusOK || strings.Contains(a.body, "data:text") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// TestMydexAddressesInAnswers protects a member's key from an answer that
// repeats the address it was asked by, in headers, trailers or a redirect.
func TestMydexAddressesInAnswers(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.connect(c.mydex.Members()[0].UID)
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	names := []string{"Content-Location", "Link", "Sourcemap", "X-Sourcemap", "Location"}
	status := http.StatusOK
	c.front.Store(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/pds/") {
			return false
		}
		for _, name := range names {
			w.Header().Set(name, "/x?"+r.URL.RawQuery)
			w.Header().Add("Trailer", name)
		}
		w.WriteHeader(status)
		w.(http.Flusher).Flush()
		for _, name := range names {
			w.Header().Set(http.TrailerPrefix+name, "/x?"+r.URL.RawQuery)
		}
		return true
	})
	check := func(a answer) {
		t.Helper()
		for _, h := range []http.Header{a.Header, a.Trailer} {
			for name, values := range h {
				if strings.Contains(strings.Join(values, " "), "con_id=") {
					t.Errorf("%d: %s repeats the address", a.StatusCode, name)
				}
			}
		}
	}
	a := alice.do(http.MethodGet, dataset, "")
	a.want(t, http.StatusOK, "")
	check(a)
	status = http.StatusFound
	a = alice.do(http.MethodGet, dataset, "")
	a.want(t, http.StatusBadGateway, "upstream_redirected")
	check(a)
}

// TestMydexTwoCookies protects a consent flow from a cookie that somebody has put
// beside the browser's own: two are none.
func TestMydexTwoCookies(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	to := alice.agree(alice.start("/start"), c.mydex.Members()[0].UID)
	at, _ := url.Parse(c.URL())
	var cookies []string
	for _, cookie := range alice.client.Jar.Cookies(at) {
		cookies = append(cookies, cookie.Name+"="+cookie.Value)
	}
	nobody := c.browser("") // without a jar's cookies
	both := strings.Join(append(cookies, "delegate_mydex=AAAAAAAAAAAAAAAAAAAAAAAAAA"), "; ")
	if got := nobody.do(http.MethodGet, to, "", "Cookie", both).Header.Get("Location"); got != "/profile?connect=consent_required" {
		t.Error(got)
	}
	alice.returnTo(to, "connected")
}
