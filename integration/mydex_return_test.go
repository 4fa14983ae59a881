// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"database/sql"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

func (b *browser) signOut() {
	b.t.Helper()
	at, _ := url.Parse(b.URL())
	b.client.Jar.SetCookies(at, []*http.Cookie{{Name: stack.CookieName, Path: "/", MaxAge: -1}})
}

// consentWithoutReturn begins a consent flow, and comes back from it with no session.
func (b *browser) consentWithoutReturn(uid string) {
	b.t.Helper()
	to := b.agree(b.start("/start"), uid)
	b.signOut()
	b.returnTo(to, "session_required")
}

// TestMydexSignedOutMeanwhile protects a consent flow from a session that is not
// there when the browser comes back: it has ended, or is sent to pages of the
// app alone (SameSite=Strict). The app's next question ends the consent flow.
func TestMydexSignedOutMeanwhile(t *testing.T) {
	c := startMydex(t, "", "")
	alice := c.browser("alice")
	alice.consentWithoutReturn(c.mydex.Members()[0].UID)
	// Pages of other sites may send the browser there as well.
	for _, state := range []string{"x", "y", "z", "AAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		alice.returnTo("/connect/mydex/return?state="+state, "session_required")
	}
	alice.signIn("alice")
	alice.status("connected")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
}

// TestMydexSharedComputer protects two users of one browser from each other:
// neither gets what the other has consented to, nor has them lose it.
func TestMydexSharedComputer(t *testing.T) {
	c := startMydex(t, "", "")
	b := c.browser("alice")
	b.consentWithoutReturn(c.mydex.Members()[0].UID)
	b.signIn("bob")
	b.status("none")
	b.connect(c.mydex.Members()[1].UID)
	b.status("connected")
	if a := b.do(http.MethodDelete, "/connect/mydex/", "", "Sec-Fetch-Site", "same-origin"); a.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	b.status("none")
	b.signIn("alice")
	b.status("connected")
	b.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	if uri := c.crossed().URI; !strings.Contains(uri, "/"+c.mydex.Members()[0].UID+".json") {
		t.Error(uri)
	}
}

// TestMydexAnotherSignedIn protects who has consented from somebody else being
// signed in as their browser comes back.
func TestMydexAnotherSignedIn(t *testing.T) {
	c := startMydex(t, "", "")
	b := c.browser("alice")
	to := b.agree(b.start("/start"), c.mydex.Members()[0].UID)
	b.signIn("bob")
	b.returnTo(to, "consent_required")
	b.status("none")
	b.signIn("alice")
	b.status("connected")
}

// TestMydexDatabaseAwayAtReturn protects who has consented from a database that
// is away as their browser comes back: the address is gone from the browser.
func TestMydexDatabaseAwayAtReturn(t *testing.T) {
	c := startMydex(t, "", "")
	b := c.browser("alice")
	to := b.agree(b.start("/start"), c.mydex.Members()[0].UID)
	unlock := c.lockGrants(t)
	b.returnTo(to, "grants_unavailable")
	unlock()
	b.status("connected")
}

// TestMydexCookieLastsAsLongAsAFlow protects a consent flow that is begun when
// the browser's cookie of an earlier one is nearly over.
func TestMydexCookieLastsAsLongAsAFlow(t *testing.T) {
	c := startMydex(t, "", "")
	b := c.browser("alice")
	for range 2 {
		a := b.do(http.MethodPost, "/connect/mydex/start", "")
		if set := a.Cookies(); len(set) != 1 || set[0].MaxAge != 7*24*3600 {
			t.Errorf("%v", set)
		}
	}
}

// TestMydexTabsInAnyOrder protects a key from the tab that is closed last: what
// was consented to last counts.
func TestMydexTabsInAnyOrder(t *testing.T) {
	c := startMydex(t, "", "")
	alice, uid := c.browser("alice"), c.mydex.Members()[0].UID
	first, second := alice.start("/start"), alice.start("/start")
	one, two := alice.agree(first, uid), alice.agree(second, uid)
	alice.returnTo(two, "connected")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	before := c.mydex.Counts().PDX
	alice.returnTo(one, "connected") // by the other, whose key the platform accepts
	alice.status("connected")
	alice.do(http.MethodGet, dataset, "").want(t, http.StatusOK, "")
	if n := c.mydex.Counts().PDX - before; n > 1 {
		t.Errorf("%d calls", n)
	}
}

// TestMydexReturnHeaders protects the address that the browser comes back to
// from the page that it is sent on to, and from caches.
func TestMydexReturnHeaders(t *testing.T) {
	c := startMydex(t, "", "")
	a := c.browser("alice").do(http.MethodGet, "/connect/mydex/return?state=x", "")
	if a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", a.Header)
	}
}

// TestMydexAppSession protects sites whose sessions Caddy verifies by itself:
// with optional, who comes back signed out is told so on the app's page, and
// everything else still needs a session.
func TestMydexAppSession(t *testing.T) {
	c := startMydex(t, "", "")
	t.Setenv("SESSION_KEY", strings.Repeat("s", 40))
	text := c.caddyfile("", "")
	i, j := strings.Index(text, "forward_auth @member"), strings.Index(text, "delegate_connect mydex {")
	text = text[:i] + `app_session @member {
			cookie      session
			hmac_secret {env.SESSION_KEY}
			issuer      app
			audience    app
			optional
		}
		` + strings.Replace(text[j:], "subject  {rp.header.Remote-User}", "", 1)
	load(t, c.Stack, text)
	nobody := c.browser("")
	nobody.returnTo("/connect/mydex/return?state=x", "session_required")
	for _, r := range [][2]string{{"POST", "/start"}, {"POST", "/update"}, {"GET", "/status"}, {"DELETE", "/"}} {
		nobody.do(r[0], "/connect/mydex"+r[1], "", "Sec-Fetch-Site", "same-origin").want(t, http.StatusUnauthorized, "session_required")
	}
}

// lockGrants has the database of the grants be away until unlock is called.
func (c *connection) lockGrants(t *testing.T) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.Dir, "grants", "grants.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}
}
