// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func goodConfig() Config {
	return Config{
		ClientID: "app", ClientSecret: delegation.NewSecret("s"),
		ExchangeURL: "https://platform.example/v1/connect/tokens", APIURL: "https://API.platform.example:443/base/", WidgetURL: "https://connect.platform.example/connect.js?v=2",
	}
}

// TestConfig protects what the operator leaves out: the presets' words and
// addresses.
func TestConfig(t *testing.T) {
	p, err := New(goodConfig())
	if err != nil {
		t.Fatal(err)
	}
	c := p.config
	if c.APIURL != "https://api.platform.example/base" || c.Binding != BindingEcho || c.Body != BodyJSON || c.TokenIn != (TokenPlace{In: TokenInBearer}) || c.Redeem != nil || c.PublicTokenURL != "" {
		t.Errorf("%+v", c)
	}
	if c.Names != presets[DeveloperConsole].Names {
		t.Errorf("%+v", c.Names)
	}
	if u := p.Upstream(nil); u.Prefix != "/base" || u.Host != "api.platform.example" || u.CredentialInURL {
		t.Errorf("%+v", u)
	}
	if traits := p.Traits(); traits.Fingerprint == "" || traits.Issuer != c.ExchangeURL || traits.BaseURL != "https://api.platform.example/base/" || len(traits.Scopes)+len(traits.Routes) > 0 {
		t.Errorf("%+v", traits)
	}
	p, err = New(Config{Preset: HumanConnectV1, ClientID: "app", ClientSecret: delegation.NewSecret("s"), Names: Names{Account: "quantimodoUserId"}})
	if err != nil {
		t.Fatal(err)
	}
	c = p.config
	if c.ExchangeURL != "https://user.humanapi.co/v1/connect/tokens" || c.WidgetGlobal != "HumanConnect" || c.Names.Token != "sessionToken" || strings.Join(c.Redeem, " ") != "quantimodoUserId" {
		t.Errorf("%+v", c)
	}
}

// TestConfigFingerprint protects refused tokens of other settings: each of them
// changes the fingerprint.
func TestConfigFingerprint(t *testing.T) {
	base := goodConfig()
	seen := map[string]string{base.fingerprint(): "none"}
	for name, change := range map[string]func(*Config){
		"preset": func(c *Config) { c.Preset = HumanConnectV1 }, "client_id": func(c *Config) { c.ClientID = "b" }, "client_secret": func(c *Config) { c.ClientSecret = delegation.NewSecret("b") },
		"exchange_url": func(c *Config) { c.ExchangeURL = "b" }, "api_url": func(c *Config) { c.APIURL = "b" }, "widget_url": func(c *Config) { c.WidgetURL = "b" },
		"widget_global": func(c *Config) { c.WidgetGlobal = "b" }, "public_token_url": func(c *Config) { c.PublicTokenURL = "b" }, "verify_url": func(c *Config) { c.VerifyURL = "b" },
		"probe_path": func(c *Config) { c.ProbePath = "b" }, "body": func(c *Config) { c.Body = BodyForm }, "token_in": func(c *Config) { c.TokenIn.In = TokenInQuery }, "token_in name": func(c *Config) { c.TokenIn.Name = "b" },
		"binding": func(c *Config) { c.Binding = BindingNone }, "client_user_id": func(c *Config) { c.ClientUserID = "b" }, "redeem": func(c *Config) { c.Redeem = []string{"b"} },
		"names": func(c *Config) { c.Names.Token = "b" }, "http": func(c *Config) { c.HTTP = &delegation.HTTP{Timeout: 1} },
	} {
		c := goodConfig()
		change(&c)
		if other, twice := seen[c.fingerprint()]; twice {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[c.fingerprint()] = name
	}
	// LoadSecret reads client_secret, and Names are all in all.
	if fields := reflect.TypeFor[Config]().NumField(); fields != 18 {
		t.Errorf("Config has %d fields: are the new ones part of the fingerprint?", fields)
	}
	if n := reflect.TypeFor[Names]().NumField(); n != len(nameSettings) {
		t.Errorf("Names has %d fields, and %d settings", n, len(nameSettings))
	}
}

// TestConfigErrors protects the operator: each setting that cannot work is named,
// with how to write it, and without its value where that may be a secret.
func TestConfigErrors(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"preset is developer_console or human_connect_v1, not \"x\"": func(c *Config) { c.Preset = "x" },
		"client_id is missing":                                                func(c *Config) { c.ClientID = "" },
		"client_secret is missing":                                            func(c *Config) { c.ClientSecret = delegation.Secret{} },
		"exchange_url is missing":                                             func(c *Config) { c.ExchangeURL = "" },
		"exchange_url is http: use https":                                     func(c *Config) { c.ExchangeURL = "http://platform.example" },
		"api_url is missing":                                                  func(c *Config) { c.APIURL = "" },
		"api_url holds a query":                                               func(c *Config) { c.APIURL = "https://a.example/?x" },
		"widget_url is missing":                                               func(c *Config) { c.WidgetURL = "" },
		"widget_url is no address":                                            func(c *Config) { c.WidgetURL = "connect.js" },
		"widget_url holds a user name":                                        func(c *Config) { c.WidgetURL = "https://u:p@a.example/c.js" },
		"widget_url is not https":                                             func(c *Config) { c.WidgetURL = "http://a.example/c.js" },
		"widget_url is not https: whoever":                                    func(c *Config) { c.WidgetURL = "javascript://a.example/%0aalert(1)" },
		"widget_url holds a fragment":                                         func(c *Config) { c.WidgetURL = "https://a.example/c.js#x" },
		"widget_global \"a b\" is no name":                                    func(c *Config) { c.WidgetGlobal = "a b" },
		"public_token_url names no host":                                      func(c *Config) { c.PublicTokenURL = "https:///x" },
		"verify_url holds a fragment":                                         func(c *Config) { c.VerifyURL = "https://a.example/#x" },
		"binding verify needs verify_url":                                     func(c *Config) { c.Binding = BindingVerify },
		"binding is echo, verify or none, not \"x\"":                          func(c *Config) { c.Binding = "x" },
		"body is json or form, not \"x\"":                                     func(c *Config) { c.Body = "x" },
		"probe_path is no path below api_url":                                 func(c *Config) { c.ProbePath = "v1/me" },
		"probe_path is no path below api_url: write it like /v1":              func(c *Config) { c.ProbePath = "//other.example/" },
		"token_in is bearer, query or header, not \"x\"":                      func(c *Config) { c.TokenIn.In = "x" },
		"token_in header: \"a b\" cannot hold a token":                        func(c *Config) { c.TokenIn = TokenPlace{TokenInHeader, "a b"} },
		"token_in query: \"a b\" is no name of a field":                       func(c *Config) { c.TokenIn = TokenPlace{TokenInQuery, "a b"} },
		"names token: \"a b\" is no name of a field":                          func(c *Config) { c.Names.Token = "a b" },
		"names: user and client are both \"x\"":                               func(c *Config) { c.Names.User, c.Names.Client = "x", "x" },
		"names: token and secret are both \"x\"":                              func(c *Config) { c.Names.Token, c.Names.Secret = "x", "x" },
		"redeem: \"\" is no name of a field":                                  func(c *Config) { c.Redeem = []string{""} },
		"redeem: CLIENTID is the name of client, which the browser does not ": func(c *Config) { c.Redeem = []string{"CLIENTID"} },
	} {
		c := goodConfig()
		change(&c)
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s…", err, want)
		}
	}
	// The token and the access token stand in two objects.
	c := goodConfig()
	c.Names.Token, c.Names.Access = "token", "token"
	if _, err := New(c); err != nil {
		t.Error(err)
	}
}
