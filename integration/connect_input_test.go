// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// person is somebody who has begun a flow.
type person struct {
	*browser
	opened opened
}

// begins has somebody open the widget.
func (c *consoleRig) begins(user string) *person {
	c.t.Helper()
	b := c.browser(user)
	return &person{b, c.opensWidget(b, "")}
}

// reads wants a person to read the data of an account; nobody's if it is empty.
func (c *consoleRig) reads(b *browser, account string) {
	c.t.Helper()
	a := b.do(http.MethodGet, "/data/v1/human/profile", "")
	if account == "" {
		isCode(c.t, a, http.StatusForbidden, "consent_required")
		return
	}
	records := c.platform.Records()
	if last := records[len(records)-1]; a.StatusCode != http.StatusOK || last.Area != "data" || last.UserCode != account {
		c.t.Errorf("data: %d %s; the API opened the data of %q, want %q", a.StatusCode, a.body, last.UserCode, account)
	}
}

// TestConnectHandedOver protects people from everything that a page, or somebody in
// its place, can hand over: each is refused by a clear code, binds nobody to anything,
// costs the platform a call only where it has to be asked, and leaves the person able
// to connect.
func TestConnectHandedOver(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	ada, ben := accounts()[0], accounts()[1]
	victim := c.begins("victim")
	used := c.finishes(victim.opened, ben)
	if a := c.handsOver(victim.browser, used); a.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	of := func(clientID, clientUserID, account string) func(*person) string {
		return func(p *person) string {
			o := p.opened
			if clientID != "" {
				o.ClientID = clientID
			}
			if clientUserID != "" {
				o.ClientUserID = clientUserID
			}
			return c.finishes(o, account)
		}
	}
	is := func(body string) func(*person) string { return func(*person) string { return body } }
	for name, test := range map[string]struct {
		body      func(*person) string
		status    int
		code      string
		exchanges int
		header    []string
		anew      bool // the flow is over
	}{
		"missing":                {body: is(`{}`), status: 422, code: "token_rejected"},
		"no body":                {body: is(``), status: 422, code: "token_rejected"},
		"empty":                  {body: is(`{"specialToken":""}`), status: 422, code: "token_rejected"},
		"one megabyte":           {body: is(`{"specialToken":"` + strings.Repeat("x", 1<<20) + `"}`), status: 413, code: "body_too_large"},
		"longer than any token":  {body: is(`{"specialToken":"` + strings.Repeat("x", 60<<10) + `"}`), status: 422, code: "token_rejected"},
		"an array":               {body: is(`["a"]`), status: 422, code: "token_rejected"},
		"an array of tokens":     {body: is(`{"specialToken":["a","b"]}`), status: 422, code: "token_rejected"},
		"two lines":              {body: is(`{"specialToken":"a\r\nb"}`), status: 422, code: "token_rejected"},
		"a page":                 {body: is(`<html>`), status: 422, code: "token_rejected"},
		"made up":                {body: is(`{"specialToken":"made-up"}`), status: 422, code: "token_rejected", exchanges: 1},
		"used, by another":       {body: is(used), status: 422, code: "token_rejected"},
		"another application's":  {body: of("other", "", ada), status: 422, code: "token_rejected", exchanges: 1},
		"another person's":       {body: of("", victim.opened.ClientUserID, ada), status: 409, code: "account_conflict", exchanges: 1, anew: true},
		"another's account":      {body: of("", "", ben), status: 409, code: "account_conflict", exchanges: 1, anew: true},
		"expired":                {body: of("", "", ada), status: 422, code: "token_rejected", exchanges: 1},
		"from another origin":    {body: of("", "", ada), status: 403, code: "cross_origin", header: []string{"Origin", "https://evil.example"}},
		"from a sandboxed frame": {body: of("", "", ada), status: 403, code: "cross_origin", header: []string{"Origin", "null"}},
		"from another site":      {body: of("", "", ada), status: 403, code: "cross_origin", header: []string{"Sec-Fetch-Site", "cross-site"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.begins("user: " + name)
			if name == "expired" {
				c.platform.Set(func(s *connect.Settings) { s.TokenLifetime = -1 })
			}
			body := test.body(p)
			c.platform.Set(func(s *connect.Settings) { s.TokenLifetime = 600 })
			before := c.platform.Counts().Exchanges
			a := p.do(http.MethodPost, "/connect/health/redeem", body, append([]string{"Content-Type", "application/json"}, test.header...)...)
			isCode(t, a, test.status, test.code)
			if n := c.platform.Counts().Exchanges - before; n != test.exchanges {
				t.Errorf("the platform was asked %d times, want %d", n, test.exchanges)
			}
			if a.Header.Get("Content-Type") != "application/problem+json" || len(body) > 20 && strings.Contains(a.body, body[len(body)-20:]) {
				t.Errorf("%v %s", a.Header, a.body)
			}
			if name == "another's account" { // until somebody decides whose it is
				isCode(t, p.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusConflict, "account_conflict")
			} else {
				c.reads(p.browser, "")
			}
			// The control: the person's own token, in the same flow if it goes on.
			if test.anew {
				p.opened = c.opensWidget(p.browser, "")
			}
			if a := c.handsOver(p.browser, c.finishes(p.opened, accounts()[2])); a.StatusCode != http.StatusCreated {
				t.Errorf("control: %d %s", a.StatusCode, a.body)
			}
			c.reads(p.browser, accounts()[2])
			if a := p.do(http.MethodDelete, "/connect/health/", ""); a.StatusCode != http.StatusNoContent {
				t.Errorf("disconnect: %d %s", a.StatusCode, a.body)
			}
		})
	}
	c.reads(victim.browser, ben)
}

// TestConnectUsedTwice protects people who have left from a token that has connected
// them before: posted again, by their own page, it brings nothing back.
func TestConnectUsedTwice(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	alice := c.begins("alice")
	handed := c.finishes(alice.opened, accounts()[0])
	for range 3 { // a page that is impatient has one answer
		if a := c.handsOver(alice.browser, handed); a.StatusCode != http.StatusCreated {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	alice.do(http.MethodDelete, "/connect/health/", "")
	for _, what := range []string{"disconnected", "begun anew"} {
		if a := c.handsOver(alice.browser, handed); a.StatusCode == http.StatusCreated {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
		c.reads(alice.browser, "")
		c.opensWidget(alice.browser, "")
	}
	if n := c.platform.Counts().Exchanges; n != 1 {
		t.Errorf("%d exchanges", n)
	}
	c.connects(alice.browser, accounts()[0])
	c.reads(alice.browser, accounts()[0])
}

// TestConnectAtOnce protects people, and the platform, from a page that hands its
// token over many times: one exchange, one grant, one answer for all.
func TestConnectAtOnce(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	alice := c.begins("alice")
	alice.client.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	handed := c.finishes(alice.opened, accounts()[0])
	c.mode("slow")
	answers := c.atOnce(100, func(int) answer { return c.handsOver(alice.browser, handed) })
	eventually(t, "the platform is asked", func() bool { return c.platform.Counts().InFlight > 0 })
	c.mode()
	told := make(map[string]int)
	for range 100 {
		a := <-answers
		told[http.StatusText(a.StatusCode)+a.body]++
	}
	for text, n := range told {
		if n != 100 || !strings.HasPrefix(text, "Created") {
			t.Errorf("%d were told %s", n, text)
		}
	}
	if n := c.platform.Counts().Exchanges; n != 1 {
		t.Errorf("%d exchanges", n)
	}
	if saved := c.saved(); len(saved) != 1 || saved["alice"] != accounts()[0] {
		t.Errorf("the grants are %v", saved)
	}
}

// TestConnectRace protects two people who connect the same account at the same
// moment: it becomes one person's, and the other is told so.
func TestConnectRace(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	for range 5 {
		people := []*person{c.begins("alice"), c.begins("bob")}
		handed := []string{c.finishes(people[0].opened, accounts()[0]), c.finishes(people[1].opened, accounts()[0])}
		c.mode("slow")
		answers := make([]answer, 2)
		var wg sync.WaitGroup
		for i, p := range people {
			wg.Go(func() { answers[i] = c.handsOver(p.browser, handed[i]) })
		}
		eventually(t, "the platform is asked by both", func() bool { return c.platform.Counts().InFlight == 2 })
		c.mode()
		wg.Wait()
		winner := 0
		if answers[0].StatusCode != http.StatusCreated {
			winner = 1
		}
		if answers[winner].StatusCode != http.StatusCreated {
			t.Fatalf("nobody is connected: %d %s", answers[winner].StatusCode, answers[winner].body)
		}
		isCode(t, answers[1-winner], http.StatusConflict, "account_conflict")
		c.reads(people[winner].browser, accounts()[0])
		isCode(t, people[1-winner].do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusConflict, "account_conflict")
		for _, p := range people {
			p.do(http.MethodDelete, "/connect/health/", "")
		}
	}
}
