// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestConnectCrowd protects people who connect all at once, as after a letter to
// everybody: each has a grant, and reads the data of their own account with it.
// CONNECTS=10000 has it be as many.
func TestConnectCrowd(t *testing.T) {
	people := 100
	if text := os.Getenv("CONNECTS"); text != "" {
		var err error
		if people, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			c := startConsoleFor(t, connect.DeveloperConsole, "", connect.SampleAccounts(people))
			if database == "postgres" {
				_, lines := postgresGrants(t)
				text := c.caddyfile("")
				at := strings.Index(text, "grants sqlite ")
				rest := text[at:]
				load(t, c.Stack, text[:at]+lines+rest[strings.Index(rest, "\n"):])
			}
			accounts := connect.SampleAccounts(people)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}}
			t.Cleanup(client.CloseIdleConnections)
			sessions := make([]string, people)
			for n := range sessions {
				sessions[n] = stack.CookieName + "=" + c.App.SignIn(fmt.Sprint("user-", n), time.Time{})
			}
			began := time.Now()
			everybody(people, func(n int) error { return c.connectsBy(client, sessions[n], accounts[n]) }, t)
			took := time.Since(began)
			everybody(people, func(n int) error { return c.readsBy(client, sessions[n], accounts[n]) }, t)
			if n := c.platform.Counts().Exchanges; n != people {
				t.Errorf("the platform was asked %d times", n)
			}
			t.Logf("%d people: %v, %.0f a second", people, took.Round(time.Millisecond), float64(people)/took.Seconds())
		})
	}
}

// everybody does something for all people at once.
func everybody(people int, do func(n int) error, t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	for n := range people {
		all.Go(func() {
			if err := do(n); err != nil {
				t.Errorf("user-%d: %v", n, err)
			}
		})
	}
	all.Wait()
}

// connectsBy has a person go all the way.
func (c *consoleRig) connectsBy(client *http.Client, session string, account connect.Account) error {
	text, cookies, err := c.asks(client, http.MethodPost, "/connect/health/start", session, "", http.StatusOK)
	if err != nil {
		return err
	}
	var o opened
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	token, err := c.platform.Connect(o.ClientID, o.ClientUserID, account.UserCode)
	if err != nil {
		return err
	}
	handed, err := json.Marshal(c.platform.Handover(token))
	if err != nil {
		return err
	}
	_, _, err = c.asks(client, http.MethodPost, "/connect/health/redeem", session+cookies, string(handed), http.StatusCreated)
	return err
}

// readsBy has a person read their data, which the platform has of their account.
func (c *consoleRig) readsBy(client *http.Client, session string, account connect.Account) error {
	text, _, err := c.asks(client, http.MethodGet, "/data/v1/human/profile", session, "", http.StatusOK)
	if err == nil && !strings.Contains(text, `"name":"`+account.Name+`"`) {
		err = fmt.Errorf("the data of %s is %s", account.Name, text)
	}
	return err
}

// asks sends a request with cookies, and returns the answer and the cookies that it
// sets.
func (c *consoleRig) asks(client *http.Client, method, path, cookies, body string, want int) (text, set string, err error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.URL()+path, strings.NewReader(body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Cookie", cookies)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s: %d %s", path, res.StatusCode, answer)
	}
	for _, cookie := range res.Cookies() {
		set += "; " + cookie.Name + "=" + cookie.Value
	}
	return string(answer), set, err
}
