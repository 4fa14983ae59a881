// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// withPostgres has the grants in PostgreSQL. lines are those of [postgresGrants].
func (c *consoleRig) withPostgres(lines string) string {
	return strings.Replace(c.caddyfile(""), "grants sqlite "+filepath.Join(c.Dir, "grants", "grants.db"), lines, 1)
}

// TestConnectDatabaseKilled protects what the platform has answered from a
// PostgreSQL that is killed before it is written: it is written when that is back.
func TestConnectDatabaseKilled(t *testing.T) {
	server, lines := postgresGrants(t)
	c := startConsole(t, connect.DeveloperConsole, "")
	load(t, c.Stack, c.withPostgres(lines))
	alice, bob := c.begins("alice"), c.begins("bob")
	handed := c.finishes(alice.opened, accounts()[0])
	c.mode("slow_after")
	answers := c.atOnce(1, func(int) answer { return c.handsOver(alice.browser, handed) })
	eventually(t, "the token is used up", func() bool { return c.platform.Counts().Redeemed == 1 })
	server.Kill()
	c.mode()
	isCode(t, c.handsOver(bob.browser, c.finishes(bob.opened, accounts()[1])), http.StatusServiceUnavailable, "grants_unavailable")
	isCode(t, bob.do(http.MethodPost, "/connect/health/start", ""), http.StatusServiceUnavailable, "grants_unavailable")
	if err := server.Launch(); err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.StatusCode != http.StatusCreated {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	c.reads(alice.browser, accounts()[0])
	eventually(t, "bob connects", func() bool {
		return c.handsOver(bob.browser, c.finishes(bob.opened, accounts()[1])).StatusCode == http.StatusCreated
	})
	c.reads(bob.browser, accounts()[1])
	if n := c.platform.ExchangesOf(strings.Split(handed, `"`)[3]); n != 1 {
		t.Errorf("%d exchanges of alice's token", n)
	}
}

// TestConnectTwoMachines protects people whose requests come to either of two
// machines: a flow that was begun at one is ended at the other, a token that is handed
// over at both is exchanged once, and all are told the same.
func TestConnectTwoMachines(t *testing.T) {
	_, lines := postgresGrants(t)
	c := startConsole(t, connect.DeveloperConsole, "")
	text := c.withPostgres(lines)
	machines := []*machine{newMachine(t, c.Stack, text), newMachine(t, c.Stack, text)}
	at := func(i int, path string) string {
		return fmt.Sprintf("http://127.0.0.1:%d%s", machines[i%2].port, path)
	}
	alice, bob := c.browser("alice"), c.browser("bob")
	alice.client.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	start := func(b *browser, i int) string {
		t.Helper()
		a := b.do(http.MethodPost, at(i, "/connect/health/start"), "")
		_, rest, ok := strings.Cut(a.body, `"clientUserId":"`)
		user, _, _ := strings.Cut(rest, `"`)
		if !ok || a.StatusCode != http.StatusOK {
			t.Fatalf("start: %d %s", a.StatusCode, a.body)
		}
		return user
	}
	user, other := start(alice, 0), start(bob, 1)
	handed := c.finishes(opened{ClientID: "health", ClientUserID: user}, accounts()[0])
	c.mode("slow")
	answers := c.atOnce(40, func(i int) answer {
		return alice.do(http.MethodPost, at(i, "/connect/health/redeem"), handed, "Content-Type", "application/json")
	})
	eventually(t, "the platform is asked", func() bool { return c.platform.Counts().InFlight > 0 })
	c.mode()
	first := <-answers
	if first.StatusCode != http.StatusCreated {
		t.Errorf("%d %s", first.StatusCode, first.body)
	}
	for range 39 {
		if a := <-answers; a.StatusCode != first.StatusCode || a.body != first.body {
			t.Errorf("one is told %d %s, another %d %s", first.StatusCode, first.body, a.StatusCode, a.body)
		}
	}
	if n := c.platform.Counts().Exchanges; n != 1 {
		t.Errorf("%d exchanges", n)
	}
	// Begun at one, ended at the other; and used at both.
	handed = c.finishes(opened{ClientID: "health", ClientUserID: other}, accounts()[1])
	if a := bob.do(http.MethodPost, at(0, "/connect/health/redeem"), handed, "Content-Type", "application/json"); a.StatusCode != http.StatusCreated {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for i := range 2 {
		for b, want := range map[*browser]string{alice: accounts()[0], bob: accounts()[1]} {
			a := b.do(http.MethodGet, at(i, "/data/v1/human/profile"), "")
			records := c.platform.Records()
			if last := records[len(records)-1]; a.StatusCode != http.StatusOK || last.UserCode != want {
				t.Errorf("machine %d: %d, the data of %q, want %q", i, a.StatusCode, last.UserCode, want)
			}
		}
	}
}
