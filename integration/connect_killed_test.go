// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// killedRounds is how often a Caddy is killed.
const killedRounds = 12

// TestConnectKilled protects people from a Caddy that is killed at any moment between
// the platform's answer and its own: whoever was told that they are connected is, and
// whoever was not is connected or can connect again; nobody reads another's data.
func TestConnectKilled(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	text := strings.Replace(c.caddyfile(""), c.Dir, t.TempDir(), 1)
	m := newMachine(t, c.Stack, text)
	at := func(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", m.port, path) }
	told, kept := 0, 0
	within := 4 * time.Millisecond // of the platform's answer it is killed; so that half the people are told
	for round := range killedRounds {
		account := accounts()[round%4]
		p := c.browser(fmt.Sprint("user-", round))
		start := func() opened {
			t.Helper()
			a := p.do(http.MethodPost, at("/connect/health/start"), "")
			_, rest, ok := strings.Cut(a.body, `"clientUserId":"`)
			user, _, _ := strings.Cut(rest, `"`)
			if !ok {
				t.Fatalf("round %d, start: %d %s", round, a.StatusCode, a.body)
			}
			return opened{ClientID: "health", ClientUserID: user}
		}
		handed := c.finishes(start(), account)
		c.mode("slow_after")
		redeemed := c.platform.Counts().Redeemed
		answered := make(chan int, 1)
		go func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, at("/connect/health/redeem"), strings.NewReader(handed))
			req.Header.Set("Content-Type", "application/json")
			res, err := p.client.Do(req)
			if err != nil {
				answered <- 0
				return
			}
			_ = res.Body.Close()
			answered <- res.StatusCode
		}()
		eventually(t, "the token is used up", func() bool { return c.platform.Counts().Redeemed > redeemed })
		c.mode()
		status := -1 // not yet
		switch round {
		case 0: // killed after its answer
			status = <-answered
		case 1: // killed at once
		default: // at any moment
			<-time.After(rand.N(within))
		}
		m.restart()
		if status < 0 {
			status = <-answered
		}
		if status == http.StatusCreated {
			within = max(within/2, time.Millisecond)
		} else {
			within = min(2*within, time.Second)
		}
		data := func() int { return p.do(http.MethodGet, at("/data/v1/human/profile"), "").StatusCode }
		got := data()
		switch {
		case status == http.StatusCreated && got != http.StatusOK:
			t.Errorf("round %d: told that they are connected, and the data is %d", round, got)
		case status == http.StatusCreated:
			told++
		case got == http.StatusOK:
			kept++
		case got != http.StatusForbidden:
			t.Errorf("round %d: half connected, the data is %d", round, got)
		}
		if got != http.StatusOK {
			a := p.do(http.MethodPost, at("/connect/health/redeem"), c.finishes(start(), account), "Content-Type", "application/json")
			if got := data(); a.StatusCode != http.StatusCreated || got != http.StatusOK {
				t.Errorf("round %d, again: %d %s, the data is %d", round, a.StatusCode, a.body, got)
			}
		}
		records := c.platform.Records()
		if last := records[len(records)-1]; last.Area != "data" || last.UserCode != account {
			t.Errorf("round %d: the data of %q, want %q", round, last.UserCode, account)
		}
		if a := p.do(http.MethodDelete, at("/connect/health/"), ""); a.StatusCode != http.StatusNoContent {
			t.Errorf("round %d, disconnect: %d %s", round, a.StatusCode, a.body)
		}
	}
	t.Logf("%d kills: %d were told, %d were connected without being told", killedRounds, told, kept)
}

// TestConnectKeyset protects people who connect while the keyset is rotated; and the
// grants from a Caddy that has lost it: it says so, and asks nobody to consent anew.
func TestConnectKeyset(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	keys := filepath.Join(c.Dir, "grants", "keyset.json")
	alice, bob := c.begins("alice"), c.begins("bob")
	if out, err := command(t, "keyset", "rotate", keys); err != nil {
		t.Fatal(err, out)
	}
	if a := c.handsOver(alice.browser, c.finishes(alice.opened, accounts()[0])); a.StatusCode != http.StatusCreated {
		t.Errorf("before the reload: %d %s", a.StatusCode, a.body)
	}
	file := configFile(t, c.Stack, c.caddyfile(""))
	c.use("") // on another port, with the same cookies
	if a := c.handsOver(bob.browser, c.finishes(bob.opened, accounts()[1])); a.StatusCode != http.StatusCreated {
		t.Errorf("after the reload: %d %s", a.StatusCode, a.body)
	}
	again := c.opensWidget(alice.browser, "")
	if again.ClientUserID != alice.opened.ClientUserID || again.PublicToken == "" {
		t.Errorf("alice is known as %+v, and was as %+v", again, alice.opened)
	}
	if out, err := command(t, "grants", "reseal", "--config", file); err != nil || !strings.Contains(out, "Sealed ") {
		t.Error(err, out)
	}
	c.reads(alice.browser, accounts()[0])
	c.reads(bob.browser, accounts()[1])
	if again := c.opensWidget(alice.browser, ""); again.ClientUserID != alice.opened.ClientUserID {
		t.Errorf("sealed anew, alice is known as %+v", again)
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(c.caddyfile("")); err == nil || !strings.Contains(err.Error(), "put back the file from your backup") {
		t.Errorf("without the keyset: %v", err)
	}
}
