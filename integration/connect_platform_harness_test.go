// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const healthSecret = "canary-health-client-secret"

// consoleRig is a running stack whose platform is a Developer Console.
type consoleRig struct {
	*connection
	platform *connect.Platform
	log      string // the file of Caddy's log
}

// startConsole starts a Developer Console with the application health, and a Caddy in
// front of it. lines go into the provider's block; {platform} stands for the
// platform's address.
func startConsole(t testing.TB, preset, lines string) *consoleRig {
	t.Helper()
	return startConsoleFor(t, preset, lines, connect.SampleAccounts(4))
}

// startConsoleFor is startConsole with other people at the platform.
func startConsoleFor(t testing.TB, preset, lines string, accounts []connect.Account) *consoleRig {
	t.Helper()
	s := newStack(t)
	platform := connect.New(connect.Options{
		Preset: preset, Accounts: accounts,
		Applications: []connect.Application{{ClientID: "health", ClientSecret: healthSecret, Name: "Health"}, {ClientID: "other", ClientSecret: "other-secret", Name: "Other"}},
	})
	server := httptest.NewServer(platform)
	t.Cleanup(server.Close)
	t.Setenv("CONNECT_CLIENT_SECRET", healthSecret)
	c := &consoleRig{connection: &connection{Stack: s, t: t, url: server.URL}, platform: platform, log: filepath.Join(t.TempDir(), "caddy.log")}
	c.use(lines)
	return c
}

// use has Caddy run with other lines.
func (c *consoleRig) use(lines string) {
	c.t.Helper()
	load(c.t, c.Stack, c.caddyfile(lines))
}

func (c *consoleRig) caddyfile(lines string) string {
	if !strings.Contains(lines, "api_url") {
		lines += "\n\t\t\tapi_url {platform}"
	}
	return administered(`{` + stack.Options + `
	log {
		level DEBUG
		output file ` + c.log + `
	}
	delegate {
		provider health connect {
			client_id     health
			client_secret {env.CONNECT_CLIENT_SECRET}
			exchange_url  ` + c.url + `/v1/connect/tokens
			widget_url    ` + c.url + `/connect.js
			` + strings.ReplaceAll(lines, "{platform}", c.url) + `
		}
		grants sqlite ` + filepath.Join(c.Dir, "grants", "grants.db") + `
	}
}
http://127.0.0.1:[[.Port]] {
	log
	handle_path /data/* {` + stack.SignIn + `
		delegate_proxy health {
			subject {rp.header.Remote-User}
			allow GET /v1/human/*
		}
	}
	handle_path /connect/health/* {
		@member {
			not method OPTIONS
			not path /redeem/* /connect.js
		}
		forward_auth @member [[.AppAddr]] {
			uri /auth
			@none status 401
			handle_response @none {
			}
		}
		delegate_connect health {
			url     http://127.0.0.1:[[.Port]]/connect/health
			then    /profile
			subject {rp.header.Remote-User}
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`)
}

// opened is what POST /start answers.
type opened struct {
	WidgetURL    string `json:"widget_url"`
	WidgetGlobal string `json:"widget_global"`
	WidgetToken  string `json:"widget_token"`
	ClientID     string `json:"clientId"`
	ClientUserID string `json:"clientUserId"`
	PublicToken  string `json:"publicToken"`
	RedeemURL    string `json:"redeem_url"`
}

// opensWidget begins a flow in a browser.
func (c *consoleRig) opensWidget(b *browser, body string) (o opened) {
	c.t.Helper()
	a := b.do(http.MethodPost, "/connect/health/start", body, "Content-Type", "application/json")
	if err := json.Unmarshal([]byte(a.body), &o); err != nil || a.StatusCode != http.StatusOK || o.ClientUserID == "" {
		c.t.Fatalf("start: %d %s", a.StatusCode, a.body)
	}
	return o
}

// finishes has a person consent in the widget, and returns what it hands over.
func (c *consoleRig) finishes(o opened, userCode string) string {
	c.t.Helper()
	token, err := c.platform.Connect(o.ClientID, o.ClientUserID, userCode)
	if err != nil {
		c.t.Fatal(err)
	}
	handed, err := json.Marshal(c.platform.Handover(token))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(handed)
}

// handsOver posts what the widget has handed over.
func (c *consoleRig) handsOver(b *browser, handed string) answer {
	c.t.Helper()
	return b.do(http.MethodPost, "/connect/health/redeem", handed, "Content-Type", "application/json")
}

// connects goes all the way.
func (c *consoleRig) connects(b *browser, userCode string) answer {
	c.t.Helper()
	a := c.handsOver(b, c.finishes(c.opensWidget(b, ""), userCode))
	if a.StatusCode != http.StatusCreated {
		c.t.Fatalf("redeem: %d %s", a.StatusCode, a.body)
	}
	return a
}

// isStatus wants a person's consent to be in a state.
func (c *consoleRig) isStatus(b *browser, want string) {
	c.t.Helper()
	if a := b.do(http.MethodGet, "/connect/health/status", ""); strings.TrimSpace(a.body) != `{"status":"`+want+`"}` {
		c.t.Errorf("status %d %s; want %s", a.StatusCode, a.body, want)
	}
}

// isCode wants an answer to be a refusal.
func isCode(t testing.TB, a answer, status int, code string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body, `"code":"`+code+`"`) {
		t.Errorf("%d %s; want %d %s", a.StatusCode, a.body, status, code)
	}
}

// accounts are the platform's people, by their user codes.
func accounts() (codes []string) {
	for _, a := range connect.SampleAccounts(4) {
		codes = append(codes, a.UserCode)
	}
	return codes
}
