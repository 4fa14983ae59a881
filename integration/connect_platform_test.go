// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
)

// TestConnectPlatform protects the whole way of a person, from the widget to their
// data and out again, with every place where the platform takes the access token.
func TestConnectPlatform(t *testing.T) {
	for name, test := range map[string]struct{ preset, lines, tokenIn string }{
		"bearer": {connect.DeveloperConsole, "", "bearer"},
		"query":  {connect.DeveloperConsole, "token_in query tok", "query tok"},
		"header": {connect.DeveloperConsole, "token_in header X-Tok", "header X-Tok"},
		"verify": {connect.DeveloperConsole, "binding verify\nverify_url {platform}/v1/me", "bearer"},
		"form":   {connect.DeveloperConsole, "body form", "bearer"},
		"v1":     {connect.HumanConnectV1, "preset human_connect_v1\npublic_token_url {platform}/v1/connect/publictokens", "bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			c := startConsole(t, test.preset, test.lines)
			c.platform.Set(func(s *connect.Settings) { s.TokenIn = []string{test.tokenIn} })
			alice, people := c.browser("alice"), accounts()
			isCode(t, alice.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusForbidden, "consent_required")
			c.isStatus(alice, "none")

			o := c.opensWidget(alice, "")
			if o.WidgetURL != c.url+"/connect.js" || o.ClientID != "health" || o.PublicToken != "" || len(o.ClientUserID) < 26 || strings.Contains(o.ClientUserID, "alice") {
				t.Errorf("the page gets %+v", o)
			}
			c.isStatus(alice, "none") // an open page is no consent under way
			a := c.handsOver(alice, c.finishes(o, people[0]))
			if a.StatusCode != http.StatusCreated || !strings.Contains(a.body, `"connected":true`) || !strings.Contains(a.body, `"publicToken":"`) || strings.Contains(a.body, "access") {
				t.Fatalf("redeem: %d %s", a.StatusCode, a.body)
			}
			c.isStatus(alice, "connected")
			if a := alice.do(http.MethodGet, "/data/v1/human/profile", ""); a.StatusCode != http.StatusOK {
				t.Errorf("data: %d %s", a.StatusCode, a.body)
			}
			records := c.platform.Records()
			if last := records[len(records)-1]; last.UserCode != people[0] || strings.Join(last.Credentials, ",") != test.tokenIn {
				t.Errorf("the API saw %+v", last)
			}
			// Who comes back is known to the widget, by the same name.
			again := c.opensWidget(alice, "")
			if again.PublicToken == "" || again.ClientUserID != o.ClientUserID {
				t.Errorf("a returning user gets %+v", again)
			}
			if a := alice.do(http.MethodDelete, "/connect/health/", ""); a.StatusCode != http.StatusNoContent {
				t.Errorf("disconnect: %d %s", a.StatusCode, a.body)
			}
			isCode(t, alice.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusForbidden, "consent_required")
		})
	}
}

// TestConnectPlatformRecovery protects a connected person from whoever hands over a
// token of theirs in vain: the platform has replaced their public token by then, and
// the widget, which does not take the one that is kept, gets the new one.
func TestConnectPlatformRecovery(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "public_token_url {platform}/v1/connect/publictokens")
	alice, bob, account := c.browser("alice"), c.browser("bob"), accounts()[0]
	c.connects(alice, account)
	c.opensWidget(bob, "")
	isCode(t, c.handsOver(bob, c.finishes(c.opensWidget(alice, ""), account)), http.StatusConflict, "account_conflict")
	current := c.platform.Connections()[0].PublicToken
	if o := c.opensWidget(alice, ""); o.PublicToken == current || c.platform.Counts().Recoveries > 0 {
		t.Fatalf("the public token was not replaced, or asked for without need: %+v", o)
	}
	if o := c.opensWidget(alice, `{"recover":"publicToken"}`); o.PublicToken != current {
		t.Errorf("the page gets %+v, not %s", o, current)
	}
	isCode(t, alice.do(http.MethodPost, "/connect/health/start", `{"recover":"all"}`), http.StatusForbidden, "route_denied")
	if a := alice.do(http.MethodGet, "/data/v1/human/profile", ""); a.StatusCode != http.StatusOK {
		t.Errorf("her data: %d %s", a.StatusCode, a.body)
	}
}

// TestConnectPlatformOtherPerson protects people from whoever has their one-time
// token: it is refused, and connects neither of the two.
func TestConnectPlatformOtherPerson(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "")
	alice, bob := c.browser("alice"), c.browser("bob")
	handed := c.finishes(c.opensWidget(alice, ""), accounts()[0])
	c.opensWidget(bob, "")
	isCode(t, c.handsOver(bob, handed), http.StatusConflict, "account_conflict")
	c.isStatus(bob, "none")
	isCode(t, bob.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusForbidden, "consent_required")
	// It is spent, wherever it was tried.
	isCode(t, c.handsOver(alice, handed), http.StatusUnprocessableEntity, "token_rejected")
	if n := c.platform.Counts().Exchanges; n != 1 {
		t.Errorf("the platform was asked %d times", n)
	}
	// The control: the same people, with a token of their own each.
	c.connects(alice, accounts()[0])
	c.connects(bob, accounts()[1])
	c.isStatus(alice, "connected")
	c.isStatus(bob, "connected")
}

// TestConnectPlatformNative protects apps whose library posts with neither session
// nor cookie, and in whose name nobody connects where nothing ties the account.
func TestConnectPlatformNative(t *testing.T) {
	c := startConsole(t, connect.HumanConnectV1, "preset human_connect_v1")
	alice, library := c.browser("alice"), c.browser("")
	o := c.opensWidget(alice, `{"client":"native"}`)
	if !strings.HasPrefix(o.RedeemURL, c.URL()+"/connect/health/redeem/") {
		t.Fatalf("%+v", o)
	}
	handed := c.finishes(o, accounts()[0])
	a := library.do(http.MethodPost, o.RedeemURL, handed, "Content-Type", "application/json")
	if a.StatusCode != http.StatusCreated || !strings.Contains(a.body, `"publicToken":"`) {
		t.Errorf("the library gets %d %s", a.StatusCode, a.body)
	}
	c.isStatus(alice, "connected")
	isCode(t, library.do(http.MethodPost, o.RedeemURL, c.finishes(o, accounts()[1]), "Content-Type", "application/json"), http.StatusGone, "flow_expired")

	c.use("preset human_connect_v1\nbinding none")
	isCode(t, alice.do(http.MethodPost, "/connect/health/start", `{"client":"native"}`, "Content-Type", "application/json"), http.StatusForbidden, "route_denied")
}

// TestConnectPlatformKnownUsers protects who moves from an endpoint written by hand,
// whose users the platform knows by the app's own names.
func TestConnectPlatformKnownUsers(t *testing.T) {
	c := startConsole(t, connect.DeveloperConsole, "client_user_id {rp.header.Remote-User}")
	alice := c.browser("alice")
	if o := c.opensWidget(alice, ""); o.ClientUserID != "alice" {
		t.Errorf("%+v", o)
	}
	c.connects(alice, accounts()[0])
	c.isStatus(alice, "connected")
}

// TestConnectPlatformRevoked protects who has ended their consent at the platform:
// they are asked to consent anew, and are connected again when they have.
func TestConnectPlatformRevoked(t *testing.T) {
	for name, lines := range map[string]string{"no probe": "", "probe_path": "probe_path /v1/human/profile", "verify_url": "verify_url {platform}/v1/me"} {
		t.Run(name, func(t *testing.T) {
			c := startConsole(t, connect.DeveloperConsole, lines)
			alice := c.browser("alice")
			c.connects(alice, accounts()[0])
			c.platform.Revoke("health", accounts()[0])
			isCode(t, alice.do(http.MethodGet, "/data/v1/human/profile", ""), http.StatusForbidden, "consent_required")
			c.isStatus(alice, "update_required")
			c.connects(alice, accounts()[0])
			c.isStatus(alice, "connected")
			if a := alice.do(http.MethodGet, "/data/v1/human/profile", ""); a.StatusCode != http.StatusOK {
				t.Errorf("data: %d %s", a.StatusCode, a.body)
			}
		})
	}
}

// TestConnectPlatformHostile protects people and secrets from a platform that answers
// in every other way: what the page is told, whether there is a grant, and that no
// secret is in any answer nor in Caddy's log, at its most talkative.
func TestConnectPlatformHostile(t *testing.T) {
	for mode, want := range map[string]struct {
		status int
		code   string // empty: connected
	}{
		"echo_another":         {409, "account_conflict"},
		"echo_another_client":  {409, "account_conflict"},
		"echo_none":            {502, "credentials_rejected"},
		"error_body":           {503, "issuer_unavailable"},
		"html":                 {503, "issuer_unavailable"},
		"empty":                {503, "issuer_unavailable"},
		"huge":                 {503, "issuer_unavailable"},
		"truncated":            {503, "issuer_unavailable"},
		"user_code_number":     {201, ""},
		"user_code_null":       {503, "issuer_unavailable"},
		"user_code_absent":     {503, "issuer_unavailable"},
		"user_code_huge":       {503, "issuer_unavailable"},
		"access_token_null":    {503, "issuer_unavailable"},
		"access_token_changes": {201, ""},
		"public_token_absent":  {201, ""},
		"echo_secret":          {503, "issuer_unavailable"}, // a page
		"echo_secret_500":      {503, "issuer_unavailable"},
		"drop":                 {503, "issuer_unavailable"},
		"down":                 {503, "issuer_unavailable"},
		"500":                  {503, "issuer_unavailable"},
		"429":                  {503, "issuer_throttled"},
	} {
		t.Run(mode, func(t *testing.T) {
			c := startConsole(t, connect.DeveloperConsole, "")
			alice := c.browser("alice")
			handed := c.finishes(c.opensWidget(alice, ""), accounts()[0])
			if err := c.platform.SetMode(mode); err != nil {
				t.Fatal(err)
			}
			a := c.handsOver(alice, handed)
			data := alice.do(http.MethodGet, "/data/v1/human/profile", "")
			if want.code == "" {
				if a.StatusCode != want.status || data.StatusCode != http.StatusOK {
					t.Errorf("redeem: %d %s, data: %d %s", a.StatusCode, a.body, data.StatusCode, data.body)
				}
			} else {
				isCode(t, a, want.status, want.code)
				isCode(t, data, http.StatusForbidden, "consent_required")
			}
			secrets := []string{healthSecret, strings.Split(handed, `"`)[3]}
			for _, connection := range c.platform.Connections() {
				if connection.AccessToken != "" { // it has got as far as that
					secrets = append(secrets, connection.AccessToken)
				}
			}
			log, err := os.ReadFile(c.log)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range secrets {
				if strings.Contains(a.body+data.body+string(log), secret) {
					t.Errorf("secret %q is in an answer or in the log", secret)
				}
			}
		})
	}
}
