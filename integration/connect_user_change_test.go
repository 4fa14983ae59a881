// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestConnectUserChange protects both people of a shared browser: alice's widget is
// open when bob signs in, in another tab. What it hands over then comes with bob's
// session. It connects neither of them, whatever binds accounts to users, and bob can
// still connect an account of his own.
func TestConnectUserChange(t *testing.T) {
	for name, lines := range map[string]string{
		"echo": "", "verify": "binding verify\nverify_url {platform}/v1/me", "none": "binding none",
	} {
		t.Run(name, func(t *testing.T) {
			c := startConsole(t, connect.DeveloperConsole, lines)
			b, people := c.browser("alice"), accounts()
			ofAlice := c.opensWidget(b, "")
			handed := c.finishes(ofAlice, people[0])
			// As connect.js posts it.
			withUser := strings.TrimSuffix(handed, "}") + `,"opened_for":"` + ofAlice.ClientUserID + `"}`
			exchanged := c.platform.Counts().Redeemed

			b.signIn("bob")
			isCode(t, c.handsOver(b, withUser), http.StatusGone, "flow_expired") // he has begun nothing
			ofBob := c.opensWidget(b, "")
			isCode(t, c.handsOver(b, withUser), http.StatusUnprocessableEntity, "token_rejected")
			if n := c.platform.Counts().Redeemed; n != exchanged {
				t.Errorf("the platform has exchanged %d tokens", n-exchanged)
			}
			c.isStatus(b, "none")
			isCode(t, b.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusForbidden, "consent_required")

			own := strings.TrimSuffix(c.finishes(ofBob, people[1]), "}") + `,"opened_for":"` + ofBob.ClientUserID + `"}`
			if a := c.handsOver(b, own); a.StatusCode != http.StatusCreated {
				t.Errorf("bob: %d %s", a.StatusCode, a.body)
			}
			c.isStatus(b, "connected")
			b.signIn("alice")
			c.isStatus(b, "none")
			isCode(t, b.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusForbidden, "consent_required")
		})
	}
}

// TestConnectUserChangeByHand protects them where the page posts by itself, and does
// not say for whom the widget was opened: the platform does.
func TestConnectUserChangeByHand(t *testing.T) {
	for name, lines := range map[string]string{"echo": "", "verify": "binding verify\nverify_url {platform}/v1/me"} {
		t.Run(name, func(t *testing.T) {
			c := startConsole(t, connect.DeveloperConsole, lines)
			b := c.browser("alice")
			handed := c.finishes(c.opensWidget(b, ""), accounts()[0])
			b.signIn("bob")
			c.opensWidget(b, "")
			isCode(t, c.handsOver(b, handed), http.StatusConflict, "account_conflict")
			isCode(t, b.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusForbidden, "consent_required")
			b.signIn("alice")
			isCode(t, b.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusForbidden, "consent_required")
		})
	}
}

// TestConnectPlatformCrossDevice protects people from flows that nobody can end: a
// widget ends in the page that has begun, so cross_device does not load, neither by a
// Caddyfile nor by JSON, and neither a page nor an operator begins one elsewhere.
func TestConnectPlatformCrossDevice(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	text := strings.Replace(c.caddyfile(""), "then    /profile", "then    /profile\n\t\t\tcross_device 5m", 1)
	if err := c.Load(text); err == nil || !strings.Contains(err.Error(), "Caddyfile:") || !strings.Contains(err.Error(), `{"client":"native"}`) {
		t.Errorf("by a Caddyfile: %v", err)
	}
	text, err := c.Render(c.caddyfile(""))
	if err != nil {
		t.Fatal(err)
	}
	adapted, err := stack.Adapt(text)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(adapted), `"handler":"delegate_connect"`, `"handler":"delegate_connect","cross_device":300000000000`, 1)
	if err := caddy.Load([]byte(changed), true); changed == string(adapted) || err == nil || !strings.Contains(err.Error(), `{"client":"native"}`) {
		t.Errorf("by JSON: %v", err)
	}
	isCode(t, c.browser("alice").do(http.MethodPost, "/connect/health/start?device=other", ""), http.StatusForbidden, "route_denied")
	newAdmin(t, c.Stack).send(http.MethodPost, "/delegate/journeys", `{"provider":"health","realm":"default","subject":"alice"}`).has(t, http.StatusNotFound, "cross_device")
}

// TestConnectPlatformTicketCaught protects users of native apps: an authenticator
// answers what their library posts. check posts as it does, and says what answers.
func TestConnectPlatformTicketCaught(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	block := c.caddyfile("")
	contains(t, checks(t, c.Stack, block, true), "✓ redeem             health: "+c.URL()+"/connect/health/redeem/… is answered by delegate_connect")
	for name, change := range map[string]func(string) string{
		"the matcher names the whole path": func(text string) string {
			return strings.Replace(text, "not path /redeem/*", "not path /connect/health/redeem/*", 1)
		},
		"no exemption": func(text string) string { return strings.Replace(text, "not path /redeem/* /connect.js", "", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(change(block), "@none status 401\n\t\t\thandle_response @none {\n\t\t\t}", "", 1)
			load(t, c.Stack, text)
			contains(t, checks(t, c.Stack, text, true), "! redeem             health: "+c.URL()+"/connect/health/redeem/… is not answered by delegate_connect, but with status 401",
				"forward_auth has to let it pass; write `not path /redeem/*` in the matcher")
		})
	}
}
