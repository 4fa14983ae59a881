// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// mode has the platform behave so; honestly without a name.
func (c *consoleRig) mode(names ...string) {
	c.t.Helper()
	if err := c.platform.SetMode(names...); err != nil {
		c.t.Fatal(err)
	}
}

// atOnce does something n times at the same time.
func (c *consoleRig) atOnce(n int, do func(i int) answer) <-chan answer {
	answers := make(chan answer, n)
	for i := range n {
		go func() { answers <- do(i) }()
	}
	return answers
}

// saved are the accounts of the active grants, by who has them.
func (c *consoleRig) saved() map[string]string {
	c.t.Helper()
	t := c.t.(*testing.T)
	list, err := command(t, "grants", "--config", configFile(t, c.Stack, c.caddyfile("")), "--adapter", "caddyfile", "list", "--json", "--state", "active")
	var all []struct{ Subject, Account string }
	if err == nil {
		err = json.Unmarshal([]byte(list), &all)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, list)
	}
	saved := make(map[string]string, len(all))
	for _, g := range all {
		saved[g.Subject] = g.Account
	}
	return saved
}

// TestConnectPlatformFails protects people from a platform that fails at the moment
// of the exchange: the page is told to try again, and the same flow does, with the
// same token. Where the platform had used the token up, it says so, and the flow goes
// on with another one.
func TestConnectPlatformFails(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	for mode, spent := range map[string]bool{"down": false, "500": false, "429": false, "echo_secret_500": false, "html": true, "empty": true, "drop": true} {
		t.Run(mode, func(t *testing.T) {
			p := c.begins("user: " + mode)
			handed := c.finishes(p.opened, accounts()[0])
			c.mode(mode)
			if a := c.handsOver(p.browser, handed); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || strings.Contains(a.body, healthSecret) {
				t.Errorf("%s: %d %v %s", mode, a.StatusCode, a.Header, a.body)
			}
			c.reads(p.browser, "")
			c.mode()
			a := c.handsOver(p.browser, handed)
			if spent {
				isCode(t, a, http.StatusUnprocessableEntity, "token_rejected")
				a = c.handsOver(p.browser, c.finishes(p.opened, accounts()[0]))
			}
			if a.StatusCode != http.StatusCreated {
				t.Errorf("again: %d %s", a.StatusCode, a.body)
			}
			c.reads(p.browser, accounts()[0])
			p.do(http.MethodDelete, "/connect/health/", "")
		})
	}
}

// TestConnectClientLeaves protects people whose browser gives up while the platform
// is slow: the exchange is made, once, and the same flow has its outcome.
func TestConnectClientLeaves(t *testing.T) {
	for _, mode := range []string{"slow", "slow_after"} {
		t.Run(mode, func(t *testing.T) {
			c := startConsole(t, connect.DeveloperConsole, "")
			alice := c.begins("alice")
			handed := c.finishes(alice.opened, accounts()[0])
			c.mode(mode)
			ctx, leave := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL()+"/connect/health/redeem", strings.NewReader(handed))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			left := make(chan error, 1)
			go func() {
				res, err := alice.client.Do(req)
				if err == nil {
					_ = res.Body.Close()
				}
				left <- err
			}()
			eventually(t, "the platform is asked", func() bool { return c.platform.Counts().InFlight > 0 })
			leave()
			if err := <-left; err == nil {
				t.Fatal("it was answered")
			}
			c.mode()
			if a := c.handsOver(alice.browser, handed); a.StatusCode != http.StatusCreated || !strings.Contains(a.body, `"publicToken":"`) {
				t.Errorf("again: %d %s", a.StatusCode, a.body)
			}
			c.reads(alice.browser, accounts()[0])
			if n := c.platform.Counts().Exchanges; n != 1 {
				t.Errorf("%d exchanges", n)
			}
		})
	}
}

// TestConnectUserCodes protects people from a platform that names them in a form
// that nothing can be bound to, and neighbours from being taken for one person where
// it names them by numbers.
func TestConnectUserCodes(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	for _, mode := range []string{"user_code_null", "user_code_absent", "user_code_huge"} {
		p := c.begins("user: " + mode)
		c.mode(mode)
		isCode(t, c.handsOver(p.browser, c.finishes(p.opened, accounts()[0])), http.StatusServiceUnavailable, "issuer_unavailable")
		c.reads(p.browser, "")
		c.mode()
		c.connects(p.browser, accounts()[0])
		p.do(http.MethodDelete, "/connect/health/", "")
	}
	if saved := c.saved(); len(saved) != 0 {
		t.Errorf("saved is %v", saved)
	}
	c.mode("user_code_number") // 2^53 and its neighbour, which are one number to JavaScript
	alice, bob := c.begins("alice"), c.begins("bob")
	c.connects(alice.browser, accounts()[0])
	c.connects(bob.browser, accounts()[1])
	c.reads(alice.browser, accounts()[0])
	c.reads(bob.browser, accounts()[1])
	if saved := c.saved(); saved["alice"] != "9007199254740992" || saved["bob"] != "9007199254740993" {
		t.Errorf("saved is %v", saved)
	}
}

// TestConnectAnotherAccessToken protects people who connect again at a platform that
// ends the access token of before: the next request has the new one.
func TestConnectAnotherAccessToken(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	c.mode("access_token_changes")
	alice, phone := c.browser("alice"), c.browser("alice")
	token := func() string { return c.platform.Connections()[0].AccessToken }
	c.connects(alice, accounts()[0])
	c.reads(alice, accounts()[0])
	first := token()
	c.connects(phone, accounts()[0])
	c.reads(alice, accounts()[0])
	records := c.platform.Records()
	if got := records[len(records)-1].Header.Get("Authorization"); token() == first || got != "Bearer "+token() || c.platform.Counts().Unauthorized != 0 {
		t.Errorf("the API got %q, and refused %d requests", got, c.platform.Counts().Unauthorized)
	}
}

// locks has another program lock a database of SQLite until unlock is called.
func locks(t *testing.T, file string) (unlock func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sqlite3", file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(in, ".timeout 10000\nBEGIN EXCLUSIVE; SELECT 1;\n")
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	return func() { _ = in.Close(); _ = cmd.Wait() }
}

// TestConnectDatabaseLocked protects what the platform has answered from a database
// that another program has locked at that moment: it is written when that is over.
func TestConnectDatabaseLocked(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	alice := c.begins("alice")
	handed := c.finishes(alice.opened, accounts()[0])
	c.mode("slow_after")
	answers := c.atOnce(1, func(int) answer { return c.handsOver(alice.browser, handed) })
	eventually(t, "the token is used up", func() bool { return c.platform.Counts().Redeemed == 1 })
	unlock := locks(t, filepath.Join(c.Dir, "grants", "grants.db"))
	c.mode()
	select {
	case a := <-answers:
		t.Errorf("answered before it is written: %d %s", a.StatusCode, a.body)
		answers = c.atOnce(1, func(int) answer { return a })
	case <-time.After(500 * time.Millisecond): // for so long it is locked
	}
	unlock()
	if a := <-answers; a.StatusCode != http.StatusCreated {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	c.reads(alice.browser, accounts()[0])
	if n := c.platform.Counts().Exchanges; n != 1 {
		t.Errorf("%d exchanges", n)
	}
}
