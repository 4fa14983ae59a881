// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"crypto/rsa"
	"crypto/x509"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// A setting that cannot work must be refused by its name, before anybody
// depends on it.
func TestNewRefuses(t *testing.T) {
	k := testKeys()
	for name, c := range map[string]struct {
		change func(*Config)
		word   string
	}{
		"bad base":           {func(c *Config) { c.BaseURL = "http://platform.example" }, "base_url"},
		"no project":         {func(c *Config) { c.Project = "" }, "project"},
		"project is a path":  {func(c *Config) { c.Project = "a/b" }, "project"},
		"project is dots":    {func(c *Config) { c.Project = ".." }, "project"},
		"project and break":  {func(c *Config) { c.Project = "a\n" }, "project"},
		"no account":         {func(c *Config) { c.Account = "" }, "service_account"},
		"account with space": {func(c *Config) { c.Account = "a b" }, "service_account"},
		"client with break":  {func(c *Config) { c.ClientID = "a\r\nb" }, "client_id"},
		"no key":             {func(c *Config) { c.Keys = nil }, "private_key"},
		"nil key":            {func(c *Config) { c.Keys = []*rsa.PrivateKey{nil} }, "private_key"},
		"three keys":         {func(c *Config) { c.Keys = []*rsa.PrivateKey{k[0], k[1], k[0]} }, "private_key"},
		"one key twice":      {func(c *Config) { c.Keys = []*rsa.PrivateKey{k[0], k[0]} }, "private_key"},
		"no scopes":          {func(c *Config) { c.Scopes = nil }, "scopes"},
		"empty scope":        {func(c *Config) { c.Scopes = []string{"api", ""} }, "scopes"},
		"scopes in one":      {func(c *Config) { c.Scopes = []string{"A:read B:read"} }, "scopes"},
		"quoted scope":       {func(c *Config) { c.Scopes = []string{`"A:read"`} }, "scopes"},
		"scope twice":        {func(c *Config) { c.Scopes = []string{"A:read", "B:read", "A:read"} }, "scopes"},
		"no way":             {func(c *Config) { c.Participant = Participant{} }, "participant_"},
		"unknown way":        {func(c *Config) { c.Participant = Participant{By: "email"} }, "participant_"},
		"field with id":      {func(c *Config) { c.Participant = Participant{By: ByID, Field: "f"} }, "participant_id"},
		"query with id":      {func(c *Config) { c.Participant = Participant{By: ByIdentifier, Query: "q"} }, "participant_query"},
		"field without name": {func(c *Config) { c.Participant = Participant{By: ByField} }, "participant_field"},
		"query that pages":   {func(c *Config) { c.Participant = Participant{By: ByField, Field: "f", Query: "PageNumber"} }, "participant_query"},
		"query with value":   {func(c *Config) { c.Participant = Participant{By: ByField, Field: "f", Query: "f=1&g"} }, "participant_query"},
	} {
		t.Run(name, func(t *testing.T) {
			config := testConfig(ByID)
			c.change(&config)
			if _, err := New(config); err == nil || !strings.HasPrefix(err.Error(), c.word) {
				t.Errorf("%v does not begin with %s", err, c.word)
			}
		})
	}
}

// The token's audience is compared with one exact string, so every spelling of
// an address has to become the one that is dialled; and a service token must
// not travel in clear.
func TestBaseURL(t *testing.T) {
	for address, base := range map[string]string{
		"https://mydatahelps.org":          "https://mydatahelps.org",
		"https://mydatahelps.org/":         "https://mydatahelps.org",
		"https://MyDataHelps.org:443":      "https://mydatahelps.org",
		"https://example.org:8443/a/b-c/":  "https://example.org:8443/a/b-c",
		"http://127.0.0.1:8080":            "http://127.0.0.1:8080",
		"http://localhost:80/x":            "http://localhost/x",
		"http://[::1]:8080":                "http://[::1]:8080",
		"https://[::1]":                    "https://[::1]",
		"https://rkstudio.example.com/inv": "https://rkstudio.example.com/inv",
	} {
		u, err := parseBaseURL(address)
		if err != nil || u.String() != base {
			t.Errorf("%s: %v, %v", address, u, err)
		}
	}
	for _, address := range []string{
		"", " ", "mydatahelps.org", "//mydatahelps.org", "ftp://mydatahelps.org", "https:mydatahelps.org", "https://",
		"http://mydatahelps.org", "http://127.0.0.1.example.org", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.example",
		"https://user:planted@mydatahelps.org", "https://planted@mydatahelps.org", "https://mydatahelps.org?planted=1",
		"https://mydatahelps.org?", "https://mydatahelps.org/#", "https://mydatahelps.org#planted",
		"https://mydatahelps.org/../x", "https://mydatahelps.org/a//b", "https://mydatahelps.org//", "https://mydatahelps.org/a%2fb",
		"https://mydatahelps.org/a b", "https://mydatahelps.org/{x}", "https://mydatahelps.org/a;b",
		"https://mydatahelps.org:0", "https://mydatahelps.org:70000", "https://mydatahelps.org:", "https://mydatahelps.org:planted",
		"https://my datahelps.org", "https://mydatahelps..org", "https://mydätahelps.org", "https://mydatahelps.org\nplanted", "https://-a.org",
		"https://user:planted@mydatahelps.org:port/%zz",
	} {
		err := CheckBaseURL(address)
		if err == nil || !strings.HasPrefix(err.Error(), "base_url") || strings.Contains(err.Error(), "planted") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// With nothing but what is required, the documented defaults apply.
func TestDefaults(t *testing.T) {
	c := testConfig(ByIdentifier)
	c.BaseURL = ""
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if p.tokenURL != "https://mydatahelps.org/identityserver/connect/token" || p.config.ClientID != "MyDataHelps.DelegatedParticipant" {
		t.Errorf("token endpoint %s, client %s", p.tokenURL, p.config.ClientID)
	}
	traits := p.Traits()
	if traits.BaseURL != "https://mydatahelps.org/" || !slices.Equal(traits.Scopes, []string{"Participant:read", "SurveyAnswers:read"}) || traits.Claim != "" {
		t.Errorf("%+v", traits)
	}
	if w := p.Warnings(); len(w) != 0 {
		t.Errorf("warnings %q", w)
	}
}

// State is shared by everything with the same fingerprint: a setting that is
// not in it would let tokens of one account serve another. The order of scopes
// and the spelling of the address must not cost the warm cache.
func TestFingerprint(t *testing.T) {
	print := func(change func(*Config)) string {
		c := testConfig(ByField)
		c.HTTP = new(delegation.HTTP)
		change(&c)
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return p.Traits().Fingerprint
	}
	same := print(func(*Config) {})
	if print(func(c *Config) { c.Scopes = []string{"Participant:read", "SurveyAnswers:read"} }) != same ||
		print(func(c *Config) { c.BaseURL = "https://Platform.example:443/prefix/" }) != same ||
		print(func(c *Config) { c.ClientID = DefaultClientID }) != same {
		t.Error("an equal configuration has another fingerprint")
	}
	seen := map[string]string{same: "unchanged"}
	for name, change := range map[string]func(*Config){
		"base_url": func(c *Config) { c.BaseURL += "/x" },
		"project":  func(c *Config) { c.Project += "x" },
		"account":  func(c *Config) { c.Account += "x" },
		"client":   func(c *Config) { c.ClientID = "x" },
		"key":      func(c *Config) { c.Keys = testKeys()[1:] },
		"keys":     func(c *Config) { c.Keys = testKeys() },
		"scopes":   func(c *Config) { c.Scopes = c.Scopes[:1] },
		"by":       func(c *Config) { c.Participant = Participant{By: ByID} },
		"field":    func(c *Config) { c.Participant.Field += "x" },
		"query":    func(c *Config) { c.Participant.Query = "x" },
		"claim":    func(c *Config) { c.Participant.Claim = "{http.auth.user.x}" },
		"timeout":  func(c *Config) { c.HTTP.Timeout = time.Second },
		"proxy":    func(c *Config) { c.HTTP.Proxy = &url.URL{Scheme: "http", Host: "proxy.example"} },
		"ca_file":  func(c *Config) { c.HTTP.RootCAs = x509.NewCertPool() },
		"no http":  func(c *Config) { c.HTTP = nil },
	} {
		f := print(change)
		if other := seen[f]; other != "" {
			t.Errorf("%s: same fingerprint as %s", name, other)
		}
		seen[f] = name
	}
}

// What is legal but probably a mistake is said, and starts all the same.
func TestWarnings(t *testing.T) {
	c := testConfig(ByID)
	c.Scopes = []string{"api", "Partcipant:read", "user/*.read", "Project:read"}
	c.BaseURL = "https://designer.mydatahelps.org/api"
	c.Project = "my-study"
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	all := p.Warnings()
	if len(all) != 5 {
		t.Fatalf("%q", all)
	}
	for i, part := range []string{"Partcipant:read", "api opens everything", "user/*.read", "project IDs are GUIDs", "base_url"} {
		if !strings.Contains(all[i], part) {
			t.Errorf("%q does not speak of %s", all[i], part)
		}
	}
}

// A reload keeps connections open; a changed authority or proxy must not be
// ignored because of that.
func TestClientSettings(t *testing.T) {
	var d sharedClient
	defer d.close()
	pool := x509.NewCertPool()
	first := d.client(&delegation.HTTP{RootCAs: pool, Timeout: time.Second})
	if d.client(&delegation.HTTP{RootCAs: pool.Clone(), Timeout: time.Second}) != first {
		t.Error("equal settings got another client")
	}
	for name, settings := range map[string]*delegation.HTTP{
		"none":    nil,
		"timeout": {RootCAs: pool, Timeout: 2 * time.Second},
		"no pool": {Timeout: time.Second},
		"public":  {RootCAs: pool, Timeout: time.Second, PublicOnly: true},
		"proxy":   {RootCAs: pool, Timeout: time.Second, Proxy: &url.URL{Scheme: "http", Host: "proxy.example"}},
	} {
		before := d.client(&delegation.HTTP{RootCAs: pool, Timeout: time.Second})
		if d.client(settings) == before {
			t.Errorf("%s: the old client stayed", name)
		}
	}
}
