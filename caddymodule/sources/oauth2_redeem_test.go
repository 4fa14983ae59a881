// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// jwt returns a JWT with the claims, of which nobody checks the signature.
func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// TestRedeemQuirks protects people of vendors that depart from RFC 6749 from being
// unable to connect: what each of them answers is read as it means it.
func TestRedeemQuirks(t *testing.T) {
	end := time.Now().Add(2 * time.Hour).Unix()
	for name, c := range map[string]struct {
		change   func(*Config)
		reply    string
		redirect url.Values
		answers  map[string]string // of further addresses

		account, label, refresh string
		scopes                  []string
		life                    time.Duration // 0: not said
		form                    map[string]string
	}{
		"usual": {account: "u-1", refresh: canaryRefresh, scopes: []string{"vitals", "sleep"}, life: time.Hour, form: map[string]string{
			"grant_type": "authorization_code", "code": canaryCode, "redirect_uri": "https://app.example/connect/return/lab", "code_verifier": "the-verifier",
			"client_id": "app", "client_secret": canaryClient,
		}},
		"withings": {
			change: func(c *Config) {
				c.TokenParams = map[string]string{"action": "requesttoken"}
				c.NoPKCE, c.ScopeSeparator = true, ","
				c.Reply = Reply{Root: "body", OK: "status", OKValue: "0"}
				c.Account = &Lookup{In: InReply, Path: "userid"}
			},
			reply:   `{"status":0,"body":{"userid":363,"access_token":"canary-access","refresh_token":"canary-refresh","scope":"vitals,sleep","expires_in":10800,"token_type":"Bearer","csrf_token":"x"}}`,
			account: "363", refresh: canaryRefresh, scopes: []string{"vitals", "sleep"}, life: 3 * time.Hour, form: map[string]string{"action": "requesttoken", "code_verifier": ""},
		},
		"strava": {
			change: func(c *Config) {
				c.Reply = Reply{ExpiresAt: "expires_at"}
				c.ScopeSeparator = ","
				c.Account = &Lookup{In: InReply, Path: "athlete.id"}
				c.Label = &Lookup{In: InReply, Path: "athlete.username"}
				c.Granted = &Lookup{In: InRedirect, Path: "scope"}
			},
			reply:    fmt.Sprintf(`{"token_type":"Bearer","expires_at":%d,"expires_in":21600,"refresh_token":"canary-refresh","access_token":"canary-access","athlete":{"id":134815,"username":"marianne"}}`, end),
			redirect: url.Values{"scope": {"read,vitals"}},
			account:  "134815", label: "marianne", refresh: canaryRefresh, scopes: []string{"read", "vitals"}, life: 2 * time.Hour,
		},
		"polar": {
			change: func(c *Config) {
				c.ClientAuth, c.Refresh = ClientAuthBasic, RefreshNone
				c.Account = &Lookup{In: InReply, Path: "x_user_id"}
			},
			reply:   `{"access_token":"canary-access","token_type":"bearer","expires_in":31535999,"refresh_token":"canary-ignored","x_user_id":10579}`,
			account: "10579", scopes: []string{"vitals", "sleep"}, life: 31535999 * time.Second, form: map[string]string{"client_secret": "", "client_id": ""},
		},
		"suunto": {
			change: func(c *Config) {
				c.Reply = Reply{ExpiresClaim: "exp"}
				c.Account = &Lookup{In: InAccess, Path: "sub"}
			},
			reply:   `{"access_token":"` + jwt(fmt.Sprintf(`{"sub":"suunto-user","exp":%d}`, end)) + `","token_type":"bearer","refresh_token":"canary-refresh"}`,
			account: "suunto-user", refresh: canaryRefresh, scopes: []string{"vitals", "sleep"}, life: 2 * time.Hour,
		},
		"one call": {
			change: func(c *Config) {
				c.Account = &Lookup{In: InAnswer, URL: at("https://api.lab.example/v4/identity"), Path: "healthUserId"}
				c.Label = &Lookup{In: InAnswer, URL: at("https://api.lab.example/v4/identity"), Path: "email"}
			},
			reply:   `{"access_token":"canary-access","token_type":"Bearer","expires_in":"3599","scope":"sleep","refresh_token":null}`,
			answers: map[string]string{"/v4/identity": `{"healthUserId":12345678901234567890,"email":"ada@example.org"}`},
			account: "12345678901234567890", label: "ada@example.org", scopes: []string{"sleep"}, life: 3599 * time.Second,
		},
		"an id token": {
			change:  func(c *Config) { c.Account = &Lookup{In: InIDToken, Path: "sub"} },
			reply:   `{"access_token":"canary-access","token_type":"Bearer","id_token":"` + jwt(`{"sub":"s-1","aud":["app"]}`) + `"}`,
			account: "s-1", scopes: []string{"vitals", "sleep"},
		},
		"or": {
			change: func(c *Config) {
				c.Account = &Lookup{In: InReply, Path: "user.id", Or: &Lookup{In: InAnswer, URL: at("https://api.lab.example/me"), Path: "user_id"}}
			},
			reply:   `{"access_token":"canary-access","token_type":"Bearer","user":"no object","scope":""}`,
			answers: map[string]string{"/me": `{"user_id":1e3}`},
			account: "1000", scopes: []string{},
		},
		"names and milliseconds": {
			change: func(c *Config) {
				c.Reply = Reply{Root: "data", Access: "token.value", Refresh: "token.next", Scope: "rights", ExpiresIn: "token.ms", ExpiresUnit: time.Millisecond}
				c.Account = &Lookup{In: InReply, Path: "token.owner"}
			},
			reply:   `{"data":{"token":{"value":"canary-access","next":"canary-refresh","ms":7200000,"owner":"o"},"rights":["vitals","other"]}}`,
			account: "o", refresh: canaryRefresh, scopes: []string{"vitals", "other"}, life: 2 * time.Hour,
		},
		"a slip in the life": {reply: `{"access_token":"canary-access","user":"u","expires_in":"soon"}`, account: "u", scopes: []string{"vitals", "sleep"}},
		"no scope parameter": {change: func(c *Config) { c.NoScope = true }, account: "u-1", refresh: canaryRefresh, life: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, c.change)
			if c.reply != "" {
				r.on("/token", c.reply)
			}
			for path, answer := range c.answers {
				r.on(path, answer)
			}
			got := r.connect(c.redirect)
			if got.Account != c.account || got.Label != c.label || fmt.Sprint(got.Scopes) != fmt.Sprint(c.scopes) || (got.Scopes == nil) != (c.scopes == nil) {
				t.Errorf("account %q, label %q, scopes %q", got.Account, got.Label, got.Scopes)
			}
			if got.Tokens.Access.Reveal() == "" || got.Tokens.Refresh.Reveal() != c.refresh {
				t.Error("the tokens are others")
			}
			if left := time.Until(got.Tokens.AccessExpires); c.life == 0 != got.Tokens.AccessExpires.IsZero() || c.life > 0 && (left > c.life || left < c.life-time.Minute) {
				t.Errorf("it ends in %v, want %v", left, c.life)
			}
			calls := r.asked("/token")
			if len(calls) != 1 || calls[0].method != http.MethodPost || calls[0].contentType != "application/x-www-form-urlencoded" {
				t.Fatalf("%d calls", len(calls))
			}
			for name, want := range c.form {
				if calls[0].form.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, calls[0].form[name], want)
				}
			}
			for path := range c.answers {
				if asked := r.asked(path); len(asked) != 1 || asked[0].authorization != "Bearer "+canaryAccess {
					t.Errorf("%s: %d calls", path, len(asked))
				}
			}
		})
	}
}

// TestBasicClient protects a secret with characters of its own from being read as
// another one (RFC 6749 section 2.3.1).
func TestBasicClient(t *testing.T) {
	r := newCodeRig(t, func(c *Config) { c.ClientAuth = ClientAuthBasic; c.ClientID = "a:b" })
	r.connect(nil)
	encoded, _ := strings.CutPrefix(r.asked("/token")[0].authorization, "Basic ")
	if got, err := base64.StdEncoding.DecodeString(encoded); err != nil || string(got) != "a%3Ab:canary-client%26secret" {
		t.Errorf("%q %v", got, err)
	}
}

// TestAccountWithoutName protects the person whose vendor does not say who they are:
// their account is nobody else's, and the same after they connect again.
func TestAccountWithoutName(t *testing.T) {
	r := newCodeRig(t, func(c *Config) { c.Account = nil })
	if !r.Sources()[0].NoAccount {
		t.Error("the source is not marked")
	}
	first, err := r.redeem(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.redeem(nil, nil)
	if err != nil || first.Account == second.Account || len(first.Account) < 26 {
		t.Errorf("%q %q %v", first.Account, second.Account, err)
	}
	again, err := r.redeem(nil, &delegation.Grant{Account: first.Account})
	if err != nil || again.Account != first.Account {
		t.Errorf("%q %v", again.Account, err)
	}
}
