// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/sources"
)

// TestSourcesOAuth1 protects the people of an OAuth 1.0a source: each connects the account
// that is theirs, their calls are signed for it, and what ends it at the vendor has them
// asked again.
func TestSourcesOAuth1(t *testing.T) {
	l := startOldLab(t, "", nil)
	people := sources.SampleAccounts(3)
	ada, ben := l.browser("ada"), l.browser("ben")
	isCode(t, ada.do(http.MethodGet, "/sources/old_lab/v1/measurements", ""), http.StatusForbidden, "consent_required")
	l.isState(ada, "none")
	l.connects(ada, people[0].ID)
	l.connects(ben, people[1].ID)
	l.isState(ada, "connected")
	if a := ada.do(http.MethodGet, "/connect/status/old_lab", ""); !strings.Contains(a.body, people[0].Name) {
		t.Errorf("the label is not told: %s", a.body)
	}
	for _, p := range []struct {
		b       *browser
		account sources.Account
	}{{ada, people[0]}, {ben, people[1]}} {
		if a := p.b.do(http.MethodGet, "/sources/old_lab/v1/me?x=a+b&x=%2B&y", ""); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `"`+p.account.ID+`"`) {
			t.Errorf("me: %d %s", a.StatusCode, a.body)
		}
	}
	if a := ada.do(http.MethodPost, "/sources/old_lab/v1/notes", "text=a+b&text=%C3%A4", "Content-Type", "application/x-www-form-urlencoded"); a.StatusCode/100 != 2 {
		t.Errorf("a form: %d %s", a.StatusCode, a.body)
	}
	if a := ada.do(http.MethodPost, "/sources/old_lab/v1/notes", `{"text":"a"}`, "Content-Type", "application/json"); a.StatusCode/100 != 2 {
		t.Errorf("JSON: %d %s", a.StatusCode, a.body)
	}
	l.vendor.Withdraw(people[0].ID)
	isCode(t, ada.do(http.MethodGet, "/sources/old_lab/v1/me", ""), http.StatusForbidden, "consent_required")
	l.isState(ada, "update_required")
	l.isState(ben, "connected")
	l.connects(ada, people[0].ID)
	if a := ada.do(http.MethodGet, "/sources/old_lab/v1/me", ""); a.StatusCode != http.StatusOK {
		t.Errorf("connected again: %d %s", a.StatusCode, a.body)
	}
	if a := ada.do(http.MethodDelete, "/connect/old_lab", ""); a.StatusCode/100 != 2 {
		t.Errorf("disconnected: %d %s", a.StatusCode, a.body)
	}
	isCode(t, ada.do(http.MethodGet, "/sources/old_lab/v1/me", ""), http.StatusForbidden, "consent_required")
	l.isState(ben, "connected")
	l.leaksNothing(people)
}

// TestT67_OAuth1 protects people's accounts at a vendor of OAuth 1.0a: from apps that name
// a token, or reach the vendor's own endpoints, and from redirects that prove nothing.
func TestT67_OAuth1(t *testing.T) {
	l := startOldLab(t, "", nil)
	people := sources.SampleAccounts(3)
	ada, eve := l.browser("ada"), l.browser("eve")
	l.connects(ada, people[0].ID)
	const form = "application/x-www-form-urlencoded"
	for _, target := range []string{"me?oauth_token=x", "me?a=1&oauth%5Fconsumer_key=x", "me?OAUTH.token=x", "me?access_token=x"} {
		isCode(t, ada.do(http.MethodGet, "/sources/old_lab/v1/"+target, ""), http.StatusForbidden, "route_denied")
	}
	isCode(t, ada.do(http.MethodPost, "/sources/old_lab/v1/notes", "text=a&oauth_token=x", "Content-Type", form), http.StatusForbidden, "route_denied")
	isCode(t, ada.do(http.MethodPost, "/sources/old_lab/v1/notes", "--x--", "Content-Type", "multipart/form-data; boundary=x"), http.StatusForbidden, "route_denied")
	for _, path := range []string{"request_token", "access_token"} {
		isCode(t, ada.do(http.MethodPost, "/sources/old_lab/oauth1/"+path, ""), http.StatusForbidden, "route_denied")
	}
	if a := ada.do(http.MethodGet, "/sources/old_lab/v1/me", "", "X-Test", "control"); a.StatusCode != http.StatusOK {
		t.Errorf("the control: %d %s", a.StatusCode, a.body)
	}
	// The redirect without its verifier, with that of another flow, and in another browser.
	page := l.begins(eve)
	to, err := url.Parse(l.decides(page, sources.Decision{Account: people[1].ID}))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(url.Values){
		"no verifier":  func(q url.Values) { q.Del("oauth_verifier") },
		"no token":     func(q url.Values) { q.Del("oauth_token") },
		"two of them":  func(q url.Values) { q.Add("oauth_verifier", "another") },
		"another flow": func(q url.Values) { q.Set("state", "AAAAAAAAAAAAAAAAAAAAAAAAAA") },
	} {
		altered, q := *to, to.Query()
		change(q)
		altered.RawQuery = q.Encode()
		if outcome := l.comesBack(eve, altered.String()); outcome == "connected" {
			t.Errorf("%s: connected", name)
		}
		l.isState(eve, "pending")
	}
	if outcome := l.comesBack(ada, to.String()); outcome == "connected" {
		t.Error("in another browser: connected")
	}
	if a := ada.do(http.MethodGet, "/sources/old_lab/v1/me", ""); !strings.Contains(a.body, `"`+people[0].ID+`"`) {
		t.Errorf("ada has another account now: %s", a.body)
	}
	if outcome := l.comesBack(eve, to.String()); outcome != "connected" {
		t.Errorf("eve's own: %q", outcome)
	}
	if outcome := l.comesBack(eve, to.String()); outcome == "" {
		t.Error("once more")
	}
	// The token of another's flow ends the person's own, and connects neither.
	bob := l.browser("bob")
	mine, err := url.Parse(l.decides(l.begins(bob), sources.Decision{Account: people[2].ID}))
	if err != nil {
		t.Fatal(err)
	}
	others, err := url.Parse(l.decides(l.begins(l.browser("cleo")), sources.Decision{Account: people[2].ID}))
	if err != nil {
		t.Fatal(err)
	}
	swapped := others.Query()
	swapped.Set("state", mine.Query().Get("state"))
	mine.RawQuery = swapped.Encode()
	if outcome := l.comesBack(bob, mine.String()); outcome != "token_rejected" {
		t.Errorf("the token of another's flow: %q", outcome)
	}
	l.isState(bob, "none")
	// A person who declines is told so.
	for _, denied := range []string{"", "denied", "error"} {
		l.vendor.Set(func(s *sources.Settings) { s.OAuth1.Denied = denied })
		if outcome := l.comesBack(bob, l.decides(l.begins(bob), sources.Decision{Deny: true})); outcome != "consent_denied" {
			t.Errorf("declined by %q: %q", denied, outcome)
		}
	}
}

// TestSourcesOAuth1Vendors protects the people of vendors with ways of their own.
func TestSourcesOAuth1Vendors(t *testing.T) {
	for name, c := range map[string]struct {
		lines  string
		change func(*sources.Settings)
	}{
		"HMAC-SHA256":      {"signature HMAC-SHA256", func(s *sources.Settings) { s.OAuth1.Methods = []string{"HMAC-SHA256"} }},
		"in the query":     {"signature_in query", func(s *sources.Settings) { s.OAuth1.Monotonic = true }},
		"callback at page": {"callback_at authorize", func(s *sources.Settings) { s.OAuth1.CallbackAtAuthorize = true }},
	} {
		t.Run(name, func(t *testing.T) {
			l := startOldLab(t, c.lines, c.change)
			ada := l.browser("ada")
			l.connects(ada, sources.SampleAccounts(1)[0].ID)
			for range 3 {
				if a := ada.do(http.MethodGet, "/sources/old_lab/v1/measurements?limit=2", ""); a.StatusCode != http.StatusOK || strings.Contains(a.body, "oauth_") {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
			}
			l.leaksNothing(sources.SampleAccounts(1))
		})
	}
}
