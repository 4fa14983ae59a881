// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// validConfig returns a source with a client, changed by change before the defaults are
// set.
func validConfig(t *testing.T, change func(*Addresses, *Config)) *Config {
	t.Helper()
	a, c := lab(), &Config{Name: "lab", ClientID: "app", ClientSecret: delegation.NewSecret("sesame")}
	if change != nil {
		change(&a, c)
	}
	if err := a.Resolve(c); err != nil {
		t.Fatal(err)
	}
	c.SetDefaults()
	return c
}

// TestConfigDefaults protects who states only the ten fields.
func TestConfigDefaults(t *testing.T) {
	c := validConfig(t, nil)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Title != "lab" || c.ClientAuth != ClientAuthBody || c.Covers != CoversEqual || c.Refresh != RefreshRotates || c.RefreshURL != c.TokenURL {
		t.Errorf("%+v", c)
	}
	signed := validConfig(t, func(a *Addresses, _ *Config) { a.RequestToken = "/request" })
	if err := signed.Validate(); err != nil || signed.Signature != HMACSHA1 || signed.ClientAuth != "" || signed.Refresh != "" {
		t.Errorf("%v: %+v", err, signed)
	}
	public := validConfig(t, func(a *Addresses, c *Config) {
		*a, c.ClientSecret = Addresses{FHIRBase: "https://fhir.example.org"}, delegation.Secret{}
	})
	if err := public.Validate(); err != nil || public.ClientAuth != ClientAuthNone || public.Covers != CoversSMART {
		t.Errorf("%v: %+v", err, public)
	}
}

// TestConfigRefused protects the operator from a source with which nobody could connect,
// or that would send less than it seems to: the error begins with the setting.
func TestConfigRefused(t *testing.T) {
	oauth1 := func(change func(*Config)) func(*Addresses, *Config) {
		return func(a *Addresses, c *Config) { a.RequestToken = "/request"; change(c) }
	}
	oauth2 := func(change func(*Config)) func(*Addresses, *Config) {
		return func(_ *Addresses, c *Config) { change(c) }
	}
	api := &url.URL{Scheme: "https", Host: "api.lab.example", Path: "/me"}
	for want, change := range map[string]func(*Addresses, *Config){
		"name is no name":                        oauth2(func(c *Config) { c.Title = "two\nlines" }),
		"client_id is missing":                   oauth2(func(c *Config) { c.ClientID = "" }),
		"client_secret is missing: client_auth":  oauth2(func(c *Config) { c.ClientSecret = delegation.Secret{} }),
		"client_secret is missing: OAuth 1.0a":   oauth1(func(c *Config) { c.ClientSecret = delegation.Secret{} }),
		"client_key is missing":                  oauth2(func(c *Config) { c.ClientAuth = ClientAuthKey }),
		"client_key is not used":                 oauth2(func(c *Config) { c.ClientAuth, c.ClientKey = ClientAuthBasic, delegation.NewSecret("pem") }),
		"client_auth none needs PKCE":            oauth2(func(c *Config) { c.ClientAuth, c.NoPKCE = ClientAuthNone, true }),
		"signature is of OAuth 1.0a":             oauth2(func(c *Config) { c.Signature = HMACSHA1 }),
		"callback_at is of OAuth 1.0a":           oauth2(func(c *Config) { c.CallbackAtAuthorize = true }),
		"scopes is of OAuth 2":                   oauth1(func(c *Config) { c.Scopes = []string{"read"} }),
		"pkce is of OAuth 2":                     oauth1(func(c *Config) { c.NoPKCE = true }),
		"grace is of OAuth 2":                    oauth1(func(c *Config) { c.Grace = time.Hour }),
		`signature "HMAC-MD5"`:                   oauth1(func(c *Config) { c.Signature = "HMAC-MD5" }),
		`scope_separator ", "`:                   oauth2(func(c *Config) { c.ScopeSeparator = ", " }),
		`scopes: "a,b" is no scope`:              oauth2(func(c *Config) { c.ScopeSeparator, c.Scopes = ",", []string{"a,b"} }),
		"scopes: a stands twice":                 oauth2(func(c *Config) { c.Scopes = []string{"a", "b", "a"} }),
		"scopes none stands alone":               oauth2(func(c *Config) { c.Scopes = []string{"none", "a"} }),
		"authorize_param state is this module's": oauth2(func(c *Config) { c.AuthorizeParams = map[string]string{"state": "x"} }),
		"authorize_param scope is this module's": oauth2(func(c *Config) { c.AuthorizeParams = map[string]string{"scope": "x"} }),
		"token_param code is this module's":      oauth2(func(c *Config) { c.TokenParams = map[string]string{"code": "x"} }),
		"refresh_param redirect_uri is this":     oauth2(func(c *Config) { c.RefreshParams = map[string]string{"redirect_uri": "https://evil.example"} }),
		`reply root "a..b"`:                      oauth2(func(c *Config) { c.Reply.Root = "a..b" }),
		"reply: write one of expires_in":         oauth2(func(c *Config) { c.Reply.ExpiresIn, c.Reply.ExpiresAt = "a", "b" }),
		"grace is of a refresh token":            oauth2(func(c *Config) { c.Grace, c.Refresh = time.Hour, RefreshKept }),
		"refresh_life is of a refresh token":     oauth2(func(c *Config) { c.RefreshLife, c.Refresh = time.Hour, RefreshNone }),
		"account: an address belongs to get":     oauth2(func(c *Config) { c.Account = &Lookup{In: InReply, URL: api, Path: "id"} }),
		"account: the redirect comes from":       oauth2(func(c *Config) { c.Account = &Lookup{In: InRedirect, Path: "user_id"} }),
		"label: the redirect comes from": oauth1(func(c *Config) {
			c.Label = &Lookup{In: InReply, Path: "id", Or: &Lookup{In: InRedirect, Path: "user_id"}}
		}),
		`reserve "oauth": write a path`:         oauth2(func(c *Config) { c.Reserve = []string{"/a", "oauth"} }),
		`reserve "/": write a path`:             oauth2(func(c *Config) { c.Reserve = []string{"/"} }),
		"label: an address belongs to get":      oauth2(func(c *Config) { c.Label = &Lookup{In: InAnswer, Path: "id"} }),
		"account: the source's protocol has no": oauth1(func(c *Config) { c.Account = &Lookup{In: InIDToken, Path: "sub"} }),
		"revoke: auth signed is not of":         oauth2(func(c *Config) { c.Revoke = &Call{Method: "POST", URL: "https://api.lab.example/me", Auth: "signed"} }),
		"after_connect: auth bearer is not of": oauth1(func(c *Config) {
			c.AfterConnect = &Call{Method: "POST", URL: "https://api.lab.example/me", Auth: "bearer"}
		}),
		"revoke: auth nonce and nonce_url": oauth2(func(c *Config) {
			c.Revoke = &Call{Method: "POST", URL: "https://api.lab.example/me", Auth: AuthNonce, Form: map[string]string{"action": "a"}}
		}),
		"revoke: auth nonce signs the form": oauth2(func(c *Config) {
			c.Revoke = &Call{Method: "POST", URL: "https://api.lab.example/me", Auth: AuthNonce, NonceURL: "https://api.lab.example/n"}
		}),
		"revoke: form nonce is what": oauth2(func(c *Config) {
			c.Revoke = &Call{Method: "POST", URL: "https://api.lab.example/me", Auth: AuthNonce, NonceURL: "https://api.lab.example/n", Form: map[string]string{"action": "a", "nonce": "x"}}
		}),
		"revoke: nonce_url is http": oauth2(func(c *Config) {
			c.Revoke = &Call{Method: "POST", URL: "https://api.lab.example/me", Auth: AuthNonce, NonceURL: "http://api.lab.example/n", Form: map[string]string{"action": "a"}}
		}),
		"revoke is http":                   oauth2(func(c *Config) { c.Revoke = &Call{Method: "POST", URL: "http://api.lab.example/me"} }),
		"after_connect is on this machine": oauth2(func(c *Config) { c.AfterConnect = &Call{Method: "POST", URL: "https://127.0.0.1/{account}"} }),
		"api_header Authorization is this": oauth2(func(c *Config) {
			c.APIHeaders = map[string]delegation.Secret{"authorization": delegation.NewSecret("x")}
		}),
		"api_header X-Key has a value": oauth2(func(c *Config) {
			c.APIHeaders = map[string]delegation.Secret{"X-Key": delegation.NewSecret("sesame\r\nX: y")}
		}),
	} {
		err := validConfig(t, change).Validate()
		if err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), "header authorization", "header Authorization"), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// TestConfigTaken protects settings that look like the refused ones.
func TestConfigTaken(t *testing.T) {
	c := validConfig(t, func(_ *Addresses, c *Config) {
		c.RefreshParams = map[string]string{"redirect_uri": RedirectURI, "scope": "offline"}
		c.Revoke = &Call{Method: "POST", URL: "https://third.example/revoke?token={access}", OK: []int{200, 400}}
		c.Account = &Lookup{In: InReply, Path: "a.b", Or: &Lookup{In: InIDToken, Path: "https://claims.example/id"}}
		c.Scopes, c.ScopeSeparator = []string{"a", "https://scope.example/x"}, ","
	})
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// TestParseEnd protects the day on which a source ends.
func TestParseEnd(t *testing.T) {
	for text, want := range map[string]string{"2026-12-31": "2026-12-31T00:00:00Z", "2026-12-31T12:00:00+01:00": "2026-12-31T11:00:00Z"} {
		if end, err := ParseEnd(text); err != nil || end.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, end, err)
		}
	}
	for _, text := range []string{"", "31.12.2026", "2026-13-01", "soon"} {
		if _, err := ParseEnd(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
