// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

const jsonType = "application/json"

// confirms posts a decision between two accounts.
func (b *browser) confirms(replace bool) answer {
	b.t.Helper()
	return b.do(http.MethodPost, "/connect/confirm/city_lab", fmt.Sprintf(`{"replace":%t}`, replace), "Content-Type", jsonType)
}

// comesBackAs has a person who is connected at the city lab come back with an account,
// and returns the outcome in the address of the app's page.
func (c *sourcesRig) comesBackAs(b *browser, endpoint string, account int) string {
	c.t.Helper()
	to := c.comesBack(b, c.decides(c.city, c.begins(b, endpoint, ""), sources.Decision{Account: accountID(account)}))
	_, outcome, _ := strings.Cut(to, "connect=")
	return strings.TrimSuffix(outcome, "&source=city_lab")
}

// serves wants the data of an account.
func (c *sourcesRig) serves(b *browser, account int) {
	c.t.Helper()
	if a := b.do(http.MethodGet, cityMeasurements, ""); a.StatusCode != http.StatusOK || !strings.Contains(a.body, accountID(account)) {
		c.t.Errorf("the data are not those of account %d: %d %s", account, a.StatusCode, a.body)
	}
}

// alive returns the accounts of the city lab's consents that have not ended.
func (c *sourcesRig) alive() string {
	var all []string
	for _, g := range c.city.Grants() {
		if !g.Ended {
			for n := range 60 {
				if accountID(n) == g.Account {
					all = append(all, fmt.Sprint(n))
				}
			}
		}
	}
	return strings.Join(all, " ")
}

// waiting is the state of who is connected as account 1 and has come back with account 2.
const waitingState = "confirm cleo@people.example  confirm disconnect"

// TestT63_AnotherAccount protects somebody's data on a device that people share: who
// comes back with another account than the connected one decides, and until then the
// connected one serves. The vendor ends the consent that is not used, and no other; each
// decision is the control of the other.
func TestT63_AnotherAccount(t *testing.T) {
	for _, endpoint := range []string{"/start/city_lab", "/update/city_lab"} {
		for _, replace := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", endpoint, replace), func(t *testing.T) {
				c := startSources(t, revokeLines, "")
				b := c.browser("alice")
				c.connects(b, "city_lab", c.city, 1)
				if outcome := c.comesBackAs(b, endpoint, 2); outcome != "confirm" {
					t.Errorf("with another account: %s", outcome)
				}
				c.is(b, "city_lab", waitingState)
				s := c.states(b, "/status/city_lab")
				if s.Status != "confirm" || s.Sources["city_lab"].CurrentAccount != "ben@people.example" {
					t.Errorf("%+v", s)
				}
				c.serves(b, 1)
				if got := c.alive(); got != "1 2" || c.city.Counts().Revocations != 0 {
					t.Errorf("before the decision the vendor has consents of %s", got)
				}

				a := b.confirms(replace)
				now, current, gone := "ben@people.example", 1, "1"
				if replace {
					now, current, gone = "cleo@people.example", 2, "2"
				}
				if a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"status":"connected"`) || !strings.Contains(a.body, now) {
					t.Errorf("decided: %d %s", a.StatusCode, a.body)
				}
				c.is(b, "city_lab", "connected "+now+"  disconnect")
				c.serves(b, current)
				if got := c.alive(); got != gone || c.city.Counts().Revocations != 1 {
					t.Errorf("after the decision the vendor has consents of %s, and was told %d times", got, c.city.Counts().Revocations)
				}
				// The same again, such as after an answer that was lost, and the other one.
				if a := b.confirms(replace); a.StatusCode != http.StatusOK {
					t.Errorf("the same again: %d %s", a.StatusCode, a.body)
				}
				isCode(t, b.confirms(!replace), http.StatusGone, "flow_expired")
				c.serves(b, current)
			})
		}
	}
}

// TestT63_NobodyElse protects the decision: neither another user of the browser, nor the
// same user in another browser sees or makes it, and no body but an exact one counts.
func TestT63_NobodyElse(t *testing.T) {
	c := startSources(t, revokeLines, "")
	b := c.browser("alice")
	isCode(t, b.confirms(true), http.StatusGone, "flow_expired")
	c.connects(b, "city_lab", c.city, 1)
	isCode(t, b.confirms(true), http.StatusGone, "flow_expired")
	c.comesBackAs(b, "/start/city_lab", 2)

	elsewhere := c.browser("alice")
	c.is(elsewhere, "city_lab", "connected ben@people.example  disconnect")
	isCode(t, elsewhere.confirms(true), http.StatusGone, "flow_expired")
	b.signIn("mallory")
	c.is(b, "city_lab", "none   connect")
	isCode(t, b.confirms(true), http.StatusGone, "flow_expired")
	isCode(t, b.confirms(false), http.StatusGone, "flow_expired")
	b.signIn("alice")
	for _, body := range []string{"", "{}", `{"replace":"true"}`, `{"replace":null}`, `{"replace":true,"source":"city_lab"}`, "replace=true"} {
		isCode(t, b.do(http.MethodPost, "/connect/confirm/city_lab", body, "Content-Type", jsonType), http.StatusForbidden, "route_denied")
	}
	isCode(t, b.do(http.MethodPost, "/connect/confirm/city_lab", "replace=true", "Content-Type", formType, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), http.StatusForbidden, "cross_origin")
	isCode(t, b.do(http.MethodGet, "/connect/confirm/city_lab", ""), http.StatusMethodNotAllowed, "method_not_allowed")
	isCode(t, b.do(http.MethodPost, "/connect/confirm", `{"replace":true}`), http.StatusForbidden, "route_denied")
	isCode(t, b.do(http.MethodPost, "/connect/confirm/harbor_lab", `{"replace":true}`), http.StatusGone, "flow_expired")
	c.is(b, "city_lab", waitingState)
	c.serves(b, 1)
	if a := b.confirms(true); a.StatusCode != http.StatusOK { // the control
		t.Errorf("the one who decides: %d %s", a.StatusCode, a.body)
	}
	c.serves(b, 2)
}

// TestT63_AccountOfAnother protects people from each other: an account that somebody
// else has connected is offered to nobody, and no decision ends their consent at the
// vendor, which may end all consents of an account with one.
func TestT63_AccountOfAnother(t *testing.T) {
	c := startSources(t, revokeLines, "")
	c.city.Set(func(s *sources.Settings) { s.RevokeAll = true })
	alice, bob := c.browser("alice"), c.browser("bob")
	c.connects(alice, "city_lab", c.city, 1)
	c.connects(bob, "city_lab", c.city, 2)
	if outcome := c.comesBackAs(alice, "/start/city_lab", 2); outcome != "account_conflict" {
		t.Errorf("the account of another user: %s", outcome)
	}
	isCode(t, alice.confirms(true), http.StatusGone, "flow_expired")
	c.is(alice, "city_lab", "connected ben@people.example  disconnect")

	// It becomes somebody else's while it waits.
	for account, replace := range map[int]bool{3: true, 4: false} {
		other := c.browser(fmt.Sprint("user", account))
		if outcome := c.comesBackAs(alice, "/start/city_lab", account); outcome != "confirm" {
			t.Errorf("account %d: %s", account, outcome)
		}
		c.connects(other, "city_lab", c.city, account)
		if a := alice.confirms(replace); replace {
			isCode(t, a, http.StatusConflict, "account_conflict")
		} else if a.StatusCode != http.StatusOK {
			t.Errorf("declined: %d %s", a.StatusCode, a.body)
		}
		c.serves(alice, 1)
		c.serves(other, account)
	}
	c.serves(bob, 2)
	if n := c.city.Counts().Revocations; n != 0 {
		t.Errorf("the vendor was told %d times", n)
	}
	c.comesBackAs(alice, "/start/city_lab", 5) // the control
	alice.confirms(false)
	if n := c.city.Counts().Revocations; n != 1 {
		t.Errorf("of an account that nobody has, the vendor was told %d times", n)
	}
	c.serves(alice, 1)
}

// TestT63_SameAccount protects who connects the same account again from losing it: no
// decision is needed, and the vendor is told nothing.
func TestT63_SameAccount(t *testing.T) {
	c := startSources(t, revokeLines, "")
	c.city.Set(func(s *sources.Settings) { s.RevokeAll = true })
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 1)
	c.comesBackAs(b, "/start/city_lab", 2)
	c.connects(b, "city_lab", c.city, 1) // what waits is older than that
	c.is(b, "city_lab", "connected ben@people.example  disconnect")
	if n := c.city.Counts().Revocations; n != 0 {
		t.Errorf("the vendor was told %d times", n)
	}
	c.serves(b, 1)
	isCode(t, b.confirms(true), http.StatusGone, "flow_expired")
	c.serves(b, 1)
	if got := c.alive(); strings.Contains(got, "2") {
		t.Errorf("the account that was not taken is still known to the vendor: %s", got)
	}
}

// TestT63_OneDecision protects a decision from another one at the same time: of many
// one counts, the vendor is told once, and one consent is left.
func TestT63_OneDecision(t *testing.T) {
	c := startSources(t, revokeLines, "")
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 1)
	c.comesBackAs(b, "/start/city_lab", 3)
	c.comesBackAs(b, "/start/city_lab", 2) // the later one is asked about
	c.is(b, "city_lab", waitingState)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if a := b.confirms(n%2 == 0); a.StatusCode != http.StatusOK && a.StatusCode != http.StatusGone {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	all.Wait()
	left := c.alive()
	if left != "1" && left != "2" || c.city.Counts().Revocations != 2 { // the older one that waited is dropped with it
		t.Errorf("the vendor has consents of %q, and was told %d times", left, c.city.Counts().Revocations)
	}
	c.serves(b, map[string]int{"1": 1, "2": 2}[left])
}

// TestT63_Disconnect protects who leaves in place of a decision: both consents end.
func TestT63_Disconnect(t *testing.T) {
	c := startSources(t, revokeLines, "")
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 1)
	c.comesBackAs(b, "/start/city_lab", 2)
	if a := b.do(http.MethodDelete, "/connect/city_lab", ""); a.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	c.is(b, "city_lab", "none   connect")
	isCode(t, b.confirms(true), http.StatusGone, "flow_expired")
	if got := c.alive(); got != "" || c.city.Counts().Revocations != 2 {
		t.Errorf("the vendor has consents of %q", got)
	}
	c.connects(b, "city_lab", c.city, 2) // without a question
	c.serves(b, 2)
}

// TestSourcesPageConfirm protects who decides without script: the page shows both
// accounts and a form, whose answer is the page again.
func TestSourcesPageConfirm(t *testing.T) {
	c := startSources(t, revokeLines, "page")
	b := c.browser("alice")
	c.connects(b, "city_lab", c.city, 1)
	to := c.comesBack(b, c.decides(c.city, c.begins(b, "/start/city_lab", ""), sources.Decision{Account: accountID(2)}))
	if !strings.HasSuffix(to, "/connect/?connect=confirm&source=city_lab") {
		t.Errorf("sent to %q", to)
	}
	isPage(t, b.navigates(to, "cross-site"), http.StatusOK, "You have signed in with another account",
		"You are connected as <bdi>ben@people.example</bdi>, and have now signed in as <bdi>cleo@people.example</bdi>",
		`action="/connect/confirm/city_lab"`, `name="replace" value="false"`, `name="replace" value="true"`)
	a := b.submits("/connect/confirm/city_lab", "replace=true")
	if to = a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || !strings.HasSuffix(to, "/connect/?connect=connected&source=city_lab") {
		t.Fatalf("%d %q %s", a.StatusCode, to, a.body)
	}
	isPage(t, b.navigates(to, "same-origin"), http.StatusOK, "Connected as <bdi>cleo@people.example</bdi>")
	isPage(t, b.submits("/connect/confirm/city_lab", "replace=false"), http.StatusGone, "This took too long, or was done already.")
	c.serves(b, 2)
}

// TestSourcesUnfinishedStart protects who has begun and left from not learning that the
// vendor has ended what they had connected; a page that waits still waits for the flow.
func TestSourcesUnfinishedStart(t *testing.T) {
	// The vendor's answer to a spent refresh token is lost, and it takes that no more.
	c, b, _ := failing(t, "", "spent_drop", func(*sources.Settings) {})
	isCode(t, c.recovers(t, b, http.StatusForbidden), http.StatusForbidden, "consent_required")
	if s := c.states(b, "/status"); s.Status != "update_required" || s.Sources["city_lab"].Pending {
		t.Errorf("the control: %+v", s)
	}
	c.begins(b, "/start/city_lab", "")
	if s := c.states(b, "/status"); s.Status != "pending" || !s.Sources["city_lab"].Pending {
		t.Errorf("%+v", s)
	}
	c.is(b, "city_lab", "update_required ben@people.example  connect disconnect")
	if outcome := c.comesBackAs(b, "/start/city_lab", 2); outcome != "confirm" {
		t.Errorf("another account than the one that has ended: %s", outcome)
	}
	c.is(b, "city_lab", waitingState)
	b.confirms(true)
	c.serves(b, 2)
}
