// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// call is a data call of ada's.
func (r *codeRig) call(path string, scopes ...string) (token string, err error) {
	d := &delegation.Delegation{Provider: "study", Source: "lab", Person: ada, Method: http.MethodGet, Path: "/lab" + path, Scopes: scopes}
	c, err := r.Authorize(r.t.Context(), d)
	if err != nil {
		return "", err
	}
	out, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "https://api.lab.example/v1"+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Apply(out); err != nil {
		r.t.Fatal(err)
	}
	return out.Header.Get("Authorization"), nil
}

// next is the vendor's answer to a refresh.
const next = `{"access_token":"canary-next","token_type":"Bearer","expires_in":3600,"refresh_token":"canary-refresh-2"}`

// TestRefresh protects people from losing a grant when the access token ends: the
// vendor is asked as it wants, in the last minute and not before, and the refresh token
// that there is afterwards is the one to use.
func TestRefresh(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*Config)
		answer  string
		path    string
		refresh string
		form    map[string]string
		life    time.Duration // of the refresh token
	}{
		"rotates":   {answer: next, refresh: "canary-refresh-2"},
		"kept":      {change: func(c *Config) { c.Refresh = RefreshKept }, answer: `{"access_token":"canary-next","token_type":"Bearer","expires_in":3600}`, refresh: canaryRefresh},
		"sometimes": {change: func(c *Config) { c.Refresh = RefreshKept }, answer: next, refresh: "canary-refresh-2"},
		"its life": {
			change: func(c *Config) { c.Refresh, c.RefreshLife = RefreshKept, 180*24*time.Hour }, answer: `{"access_token":"canary-next","token_type":"Bearer","expires_in":3600}`,
			refresh: canaryRefresh, life: 180 * 24 * time.Hour,
		},
		"coros": {change: func(c *Config) { c.RefreshURL = at("https://login.lab.example/refresh-token") }, answer: next, path: "/refresh-token", refresh: "canary-refresh-2"},
		"whoop and dexcom": {change: func(c *Config) {
			c.RefreshParams = map[string]string{"scope": "offline", "redirect_uri": RedirectURI}
		}, answer: next, refresh: "canary-refresh-2", form: map[string]string{"scope": "offline", "redirect_uri": "https://app.example/connect/return/lab"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCodeRig(t, c.change)
				r.connect(nil)
				path := or(c.path, "/token")
				before := len(r.asked(path))
				r.on(path, c.answer)
				time.Sleep(58 * time.Minute)
				if got, err := r.call("/x"); err != nil || got != "Bearer "+canaryAccess || len(r.asked(path)) != before {
					t.Fatalf("before its end: %v", err)
				}
				time.Sleep(90 * time.Second)
				if got, err := r.call("/x"); err != nil || got != "Bearer canary-next" {
					t.Fatalf("in its last minute: %v", err)
				}
				if got, err := r.call("/x"); err != nil || got != "Bearer canary-next" {
					t.Fatal(err)
				}
				calls := r.asked(path)[before:]
				if len(calls) != 1 || calls[0].form.Get("grant_type") != "refresh_token" || calls[0].form.Get("refresh_token") != canaryRefresh || calls[0].form.Get("client_secret") != canaryClient {
					t.Fatalf("%d calls", len(calls))
				}
				for name, want := range c.form {
					if calls[0].form.Get(name) != want {
						t.Errorf("%s is %q", name, calls[0].form[name])
					}
				}
				tokens := r.grants.current.Tokens
				if tokens.Refresh.Reveal() != c.refresh {
					t.Error("the refresh token is another one")
				}
				if left := time.Until(tokens.RefreshExpires); c.life > 0 && left != c.life {
					t.Errorf("its life is %v", left)
				}
			})
		})
	}
}

// TestVendorInTrouble protects every grant from a vendor in trouble: whatever it
// answers but invalid_grant, for however long, ends none, and a token that lives serves
// on.
func TestVendorInTrouble(t *testing.T) {
	const inJSON = "application/json"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		code   delegation.Code
	}{
		"400 without a word":  {says(400, inJSON, `{"message":"canary"}`), delegation.IssuerUnavailable},
		"400 of another kind": {says(400, inJSON, `{"error":"canary"}`), delegation.IssuerUnavailable},
		"an unreadable 400":   {says(400, inJSON, `invalid_grant`), delegation.IssuerUnavailable},
		"401":                 {says(401, "text/plain", "canary"), delegation.CredentialsRejected},
		"invalid_client":      {says(400, inJSON, `{"error":"invalid_client"}`), delegation.CredentialsRejected},
		"access_denied":       {says(400, inJSON, `{"error":"access_denied"}`), delegation.IssuerUnavailable},
		"429":                 {says(429, inJSON, `{"error":"invalid_grant"}`), delegation.IssuerThrottled},
		"500":                 {says(500, inJSON, `{"error":"invalid_grant"}`), delegation.IssuerUnavailable},
		"garbage":             {says(200, inJSON, "\x00\xff"), delegation.IssuerUnavailable},
		"no answer":           {breaks, delegation.IssuerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCodeRig(t, nil)
				r.connect(nil)
				r.answers["/token"] = c.answer
				time.Sleep(59*time.Minute + 30*time.Second)
				if got, err := r.call("/x"); err != nil || got != "Bearer "+canaryAccess {
					t.Errorf("a token that lives: %v", err)
				}
				for range 10 {
					time.Sleep(time.Minute)
					_, err := r.call("/x")
					refused(t, err, c.code, "the token endpoint")
				}
				if r.grants.suspended != 0 {
					t.Error("the grant was ended")
				}
				r.on("/token", next)
				if got, err := r.call("/x"); err != nil || got != "Bearer canary-next" {
					t.Errorf("once the vendor is well: %v", err)
				}
			})
		})
	}
}

// TestInvalidGrant protects somebody whom a vendor has refused once from being asked to
// consent anew, and the vendor from a refresh token that is spent being sent for ever.
func TestInvalidGrant(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*Config)
		uncertain bool
		notPaced  bool
		atOnce    bool
	}{
		"twice":            {},
		"maybe spent":      {uncertain: true, atOnce: true},
		"within its grace": {uncertain: true, change: func(c *Config) { c.Grace = 8 * time.Hour }},
		"never spent":      {uncertain: true, change: func(c *Config) { c.Refresh = RefreshKept }},
		"withings": {change: func(c *Config) {
			c.Reply = Reply{OK: "status", OKValue: "0", RefusedAt: "status", Refused: []string{"503"}}
		}},
		"strava": {change: likeStrava},
		"paced":  {notPaced: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newCodeRig(t, func(cfg *Config) {
					if c.change != nil {
						c.change(cfg)
					}
				})
				r.on("/token", `{"status":0,"access_token":"canary-access","expires_in":3600,"refresh_token":"canary-refresh","user":"u-1"}`)
				r.connect(nil)
				r.grants.uncertain, r.grants.notPaced = c.uncertain, c.notPaced
				r.onStatus("/token", 400, `{"error":"invalid_grant"}`)
				if name == "withings" {
					r.on("/token", `{"status":503,"body":{},"error":"canary"}`)
				}
				if name == "strava" {
					r.onStatus("/token", 400, `{"message":"Bad Request","errors":[{"resource":"RefreshToken","field":"refresh_token","code":"invalid"}]}`)
				}
				time.Sleep(2 * time.Hour)
				_, err := r.call("/x")
				if c.atOnce {
					refused(t, err, delegation.ConsentRequired, "")
					return
				}
				refused(t, err, delegation.IssuerUnavailable, "the token endpoint")
				if wait := delegation.AsRefusal(err).BoundedRetryAfter(); wait < secondLook {
					t.Errorf("tried again in %v", wait)
				}
				time.Sleep(secondLook / 2)
				_, err = r.call("/x")
				refused(t, err, delegation.IssuerUnavailable, "the token endpoint")
				time.Sleep(secondLook)
				_, err = r.call("/x")
				if c.notPaced {
					refused(t, err, delegation.IssuerUnavailable, "the token endpoint")
					return
				}
				refused(t, err, delegation.ConsentRequired, "")
				if r.grants.suspended != 1 {
					t.Errorf("suspended %d times", r.grants.suspended)
				}
			})
		})
	}
}

// TestSpentTokenWaits protects people, when a machine has died with the refreshes of
// many, from what vendors do to a client that sends a spent token again and again: while
// the pace of suspensions lets somebody wait, theirs is not sent a second time.
func TestSpentTokenWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCodeRig(t, nil)
		r.connect(nil)
		r.grants.uncertain, r.grants.notPaced = true, true
		r.onStatus("/token", 400, `{"error":"invalid_grant"}`)
		before := len(r.asked("/token"))
		time.Sleep(2 * time.Hour)
		_, err := r.call("/x")
		refused(t, err, delegation.IssuerUnavailable, "the token endpoint")
		for range 10 {
			time.Sleep(time.Minute)
			_, err := r.call("/x")
			refused(t, err, delegation.IssuerUnavailable, "it is not sent again")
		}
		r.grants.notPaced = false
		time.Sleep(time.Minute)
		_, err = r.call("/x")
		refused(t, err, delegation.ConsentRequired, "")
		if n := len(r.asked("/token")) - before; n != 1 {
			t.Errorf("the spent token was sent %d times", n)
		}
	})
}

// TestKeptAtReconnect protects somebody whose vendor gives a refresh token with the first
// consent only: connecting again does not take it from them. That of another account, or
// one that was refused, is of no use, and the operator is told that there is none. Where
// the vendor does not say whose account it is, it may be another's: the browser may be
// signed in there as somebody else.
func TestKeptAtReconnect(t *testing.T) {
	for name, c := range map[string]struct {
		kind    RefreshKind
		old     delegation.Grant
		kept    bool
		unknown bool // whose account it is
	}{
		"the same account":   {kind: RefreshKept, old: delegation.Grant{Account: "u-1"}, kept: true},
		"another account":    {kind: RefreshKept, old: delegation.Grant{Account: "u-2"}},
		"an unknown account": {kind: RefreshKept, old: delegation.Grant{Account: "u-1"}, unknown: true},
		"refused":            {kind: RefreshKept, old: delegation.Grant{Account: "u-1", Suspended: true}},
		"one that rotates":   {kind: RefreshRotates, old: delegation.Grant{Account: "u-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, func(cfg *Config) {
				cfg.Refresh = c.kind
				if c.unknown {
					cfg.Account = nil
				}
			})
			r.on("/token", `{"access_token":"canary-access","expires_in":3600,"user":"u-1"}`)
			c.old.Tokens.Refresh = delegation.NewSecret(canaryRefresh)
			result, err := r.redeem(nil, &c.old)
			if err != nil {
				t.Fatal(delegation.Explain(err))
			}
			if got := result.Tokens.Refresh.Reveal() == canaryRefresh; got != c.kept {
				t.Errorf("it is kept: %t", got)
			}
			if warned := r.logs.FilterMessageSnippet("no refresh token").Len() == 1; warned == c.kept {
				t.Errorf("warned: %t", warned)
			}
		})
	}
}

// TestEndsWithoutRefreshToken protects a request from an access token that has ended,
// where there is nothing to get another one by.
func TestEndsWithoutRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCodeRig(t, nil)
		r.on("/token", `{"access_token":"canary-access","expires_in":3600,"user":"u-1"}`)
		r.connect(nil)
		time.Sleep(time.Hour)
		_, err := r.call("/x")
		refused(t, err, delegation.ConsentRequired, "")
		if r.grants.suspended != 1 || len(r.asked("/token")) != 1 {
			t.Errorf("suspended %d times, %d calls", r.grants.suspended, len(r.asked("/token")))
		}
	})
}
