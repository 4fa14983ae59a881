// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func goodConfig() Config {
	return Config{Environment: Sandbox, ClientID: "c", ClientSecret: delegation.NewSecret("CANARY-s"), ConnectionNID: "45678", ConnectionToken: delegation.NewSecret("CANARY-t")}
}

// TestConfig protects operators from settings that cannot work or are unsafe,
// and their secrets from the errors.
func TestConfig(t *testing.T) {
	p, err := New(goodConfig())
	if err != nil {
		t.Fatal(err)
	}
	if p.config.APIURL != "https://sbx-api.mydex.org" || p.config.TokenURL != "https://sbx-op.mydexid.org/oauth2/token" || p.config.IdentityURL != "https://sbx-idp.mydexid.org" || !p.Upstream(nil).CredentialInURL {
		t.Errorf("%+v", p.config)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"environment":       {func(c *Config) { c.Environment = "prod" }, "environment is live or sandbox"},
		"no environment":    {func(c *Config) { c.Environment = "" }, "environment is missing"},
		"http":              {func(c *Config) { c.APIURL = "http://api.example.org" }, "api_url is http"},
		"http token":        {func(c *Config) { c.TokenURL = "http://op.example.org/oauth2/token" }, "token_url is http"},
		"password":          {func(c *Config) { c.IdentityURL = "https://u:CANARY@idp.example.org" }, "identity_url holds a user name"},
		"no client":         {func(c *Config) { c.ClientID = "" }, "client_id is missing"},
		"no secret":         {func(c *Config) { c.ClientSecret = delegation.Secret{} }, "client_secret is missing"},
		"nid":               {func(c *Config) { c.ConnectionNID = "CANARY" }, "connection_nid is no number"},
		"no nid":            {func(c *Config) { c.ConnectionNID = "" }, "connection_nid is missing"},
		"no token":          {func(c *Config) { c.ConnectionToken = delegation.NewSecret("") }, "connection_token is missing"},
		"scopes in quotes":  {func(c *Config) { c.Scopes = []string{`"a`} }, "scopes holds a character"},
		"scopes in one":     {func(c *Config) { c.Scopes = []string{"a b"} }, "scopes holds a character"},
		"a style of no use": {func(c *Config) { c.Rules = []Rule{{Pattern: "/x"}} }, "unknown style"},
	} {
		config := goodConfig()
		c.change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// TestScopes protects from tokens without the scope that every route needs,
// and from a token of its own for each order in which scopes are written.
func TestScopes(t *testing.T) {
	config := goodConfig()
	config.Scopes = []string{"get:/timeline", "mydex:pdx", "get:/timeline"}
	p, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Traits().Scopes; !slices.Equal(got, []string{"get:/timeline", "mydex:pdx"}) {
		t.Errorf("%q", got)
	}
}

// TestFingerprint protects from a token or grant that is used with settings
// that were changed.
func TestFingerprint(t *testing.T) {
	of := func(change func(*Config)) string {
		config := goodConfig()
		change(&config)
		p, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		return p.Traits().Fingerprint
	}
	same := of(func(*Config) {})
	for name, change := range map[string]func(*Config){
		"environment": func(c *Config) { c.Environment = Live },
		"client":      func(c *Config) { c.ClientID = "d" },
		"secret":      func(c *Config) { c.ClientSecret = delegation.NewSecret("x") },
		"nid":         func(c *Config) { c.ConnectionNID = "1" },
		"token":       func(c *Config) { c.ConnectionToken = delegation.NewSecret("x") },
		"scopes":      func(c *Config) { c.Scopes = []string{"get:/x"} },
		"style":       func(c *Config) { c.Rules = []Rule{{Style: None, Pattern: "/x"}} },
		"timeout":     func(c *Config) { c.HTTP = &delegation.HTTP{Timeout: 1} },
	} {
		if of(change) == same {
			t.Errorf("%s makes no difference", name)
		}
	}
	if of(func(*Config) {}) != same {
		t.Error("the same settings have another one")
	}
}
