// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// otherUsersReturns are addresses at which consent flows of other users end, n of
// them. Each owner has at most ten open.
func (c *connection) otherUsersReturns(n int, start string) []string {
	c.t.Helper()
	var all []string
	for i := range n {
		b := c.browser("stranger" + string(rune('a'+i/2)))
		page := b.do(http.MethodPost, "/connect/mydex"+start, "").started(c.t).URL
		all = append(all, b.agree(page, c.mydex.Members()[1+i%7].UID))
	}
	return all
}

// navigateCrossSite is another site's page that sends the browser to addresses, whatever
// comes of it.
func (b *browser) navigateCrossSite(addresses []string) {
	b.t.Helper()
	for _, to := range addresses {
		b.do(http.MethodGet, to, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	}
}

// cookieSize is that of the browser's cookie of consent flows.
func (b *browser) cookieSize() int {
	at, _ := url.Parse(b.URL())
	for _, c := range b.client.Jar.Cookies(at) {
		if strings.Contains(c.Name, "delegate_mydex") {
			return len(c.Value)
		}
	}
	return 0
}

// TestA10_OthersTakeNoPlace protects a member whose platform has yet to tell:
// whatever addresses other people's pages send the browser to meanwhile, before
// and after it is back, signed in or not, what was consented to connects.
func TestA10_OthersTakeNoPlace(t *testing.T) {
	for name, start := range map[string]string{"of one browser": "/start", "of any browser": "/start?device=other"} {
		for when, before := range map[string]bool{"before": true, "after": false} {
			for who, signedOut := range map[string]bool{"signed in": false, "signed out": true} {
				t.Run(strings.Join([]string{name, when, who}, ", "), func(t *testing.T) {
					c := startMydex(t, "", "cross_device")
					c.mydex.Set(func(s *mydex.Settings) { s.Callback = "held" })
					others := c.otherUsersReturns(6, start)
					alice := c.browser("alice")
					to := alice.agree(alice.start("/start"), c.mydex.Members()[0].UID)
					outcome := "pending"
					if signedOut {
						alice.signOut()
						outcome = "session_required"
					}
					if before {
						alice.navigateCrossSite(others)
					}
					alice.returnTo(to, outcome)
					if !before {
						alice.navigateCrossSite(others)
						alice.navigateCrossSite([]string{"/connect/mydex/return?state=x", "/connect/mydex/return?state=AAAAAAAAAAAAAAAAAAAAAAAAAA"})
						alice.do(http.MethodPost, others[0], "state=x", "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
					}
					c.mydex.Deliver()
					alice.signIn("alice")
					alice.status("connected")
					alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
					if n := alice.cookieSize(); n > 1500 {
						t.Errorf("a cookie of %d bytes", n)
					}
				})
			}
		}
	}
}

// TestA10_OneBrowserOfTwo protects the same from somebody who uses the browser
// as well, and from one's own tabs.
func TestA10_OneBrowserOfTwo(t *testing.T) {
	c := startMydex(t, "", "")
	c.mydex.Set(func(s *mydex.Settings) { s.Callback = "held" })
	b := c.browser("alice")
	b.returnTo(b.agree(b.start("/start"), c.mydex.Members()[0].UID), "pending")
	for _, other := range []string{"mallory", "bob"} {
		b.signIn(other)
		for range 5 { // five a minute, see connect's pace
			b.returnTo(b.agree(b.start("/start"), c.mydex.Members()[1].UID), "pending")
		}
	}
	b.signIn("alice")
	for range 3 {
		b.start("/start") // a tab that nobody goes on with
	}
	c.mydex.Deliver()
	b.status("connected")
	b.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	if uri := c.crossed().URI; !strings.Contains(uri, "/"+c.mydex.Members()[0].UID+".json") {
		t.Error(uri)
	}
	if n := b.cookieSize(); n > 1500 {
		t.Errorf("a cookie of %d bytes", n)
	}
}

// TestA10_DatabaseAway protects the same while nobody can tell whose consent flow is
// whose.
func TestA10_DatabaseAway(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	to := alice.agree(alice.start("/start"), c.mydex.Members()[0].UID)
	unlock := c.lockGrants(t)
	alice.returnTo(to, "grants_unavailable")
	for _, state := range []string{"a", "b", "c", "d"} {
		alice.navigateCrossSite([]string{"/connect/mydex/return?state=" + strings.Repeat(state, 26)})
	}
	unlock()
	alice.status("connected")
}
