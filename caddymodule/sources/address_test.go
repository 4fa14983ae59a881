// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"strings"
	"testing"
)

// lab are the addresses of a source as an administrator writes them.
func lab() Addresses {
	return Addresses{
		AuthHost: "https://login.lab.example", APIHost: "https://API.lab.example/v1/", Auth: "/oauth2/authorize",
		RequestToken: "none", AccessToken: "/oauth2/token", FullAuth: "auto",
	}
}

// TestAddresses protects the administrator: a path is one at the host that the docs
// name, and an address is taken as it is.
func TestAddresses(t *testing.T) {
	var c Config
	if err := lab().Resolve(&c); err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		c.AuthURL.String():  "https://login.lab.example/oauth2/authorize",
		c.TokenURL.String(): "https://api.lab.example/oauth2/token",
		c.API.String():      "https://api.lab.example/v1",
		c.APIOrigin():       "https://api.lab.example",
		string(c.Protocol):  "oauth2",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	a := lab()
	a.RequestToken, a.AccessToken, a.Refresh = "/request?title=initiate", "https://third.example/token", "/refresh"
	if err := a.Resolve(&c); err != nil {
		t.Fatal(err)
	}
	if c.Protocol != OAuth1 || c.RequestTokenURL.String() != "https://api.lab.example/request?title=initiate" || c.TokenURL.Host != "third.example" ||
		c.RefreshURL.String() != "https://api.lab.example/refresh" {
		t.Errorf("%+v", c)
	}
}

// TestFullAuthURL protects people from a state that was pasted, which all of them would
// share, and the administrator from writing the scopes twice.
func TestFullAuthURL(t *testing.T) {
	a := lab()
	a.FullAuth = "https://other.example/auth?response_type=code&client_id=pasted&state=pasted&redirect_uri=https%3A%2F%2Fevil.example&code_challenge=x&code_challenge_method=plain&scope=read%20write&prompt=login"
	var c Config
	if err := a.Resolve(&c); err != nil {
		t.Fatal(err)
	}
	if got := c.AuthURL.String(); got != "https://other.example/auth?prompt=login" || strings.Join(c.Scopes, "|") != "read|write" {
		t.Errorf("%s with the scopes %v", got, c.Scopes)
	}
	c = Config{Scopes: []string{"own"}}
	if err := a.Resolve(&c); err != nil || strings.Join(c.Scopes, "|") != "own" {
		t.Errorf("%v, scopes %v", err, c.Scopes)
	}
	c = Config{ScopeSeparator: ","}
	a.FullAuth = "https://other.example/auth?scope=read,write"
	if err := a.Resolve(&c); err != nil || strings.Join(c.Scopes, "|") != "read|write" {
		t.Errorf("%v, scopes %v", err, c.Scopes)
	}
}

// TestAddressesRefused protects this server's network, and tokens from being sent in
// clear (T65): by its form already. Errors do not repeat an address.
func TestAddressesRefused(t *testing.T) {
	for address, want := range map[string]string{
		"http://api.lab.example":              "is http",
		"ftp://api.lab.example":               "does not begin with https://",
		"api.lab.example":                     "does not begin with https://",
		"https://user:sesame@api.lab.example": "user name or password",
		"https://api.lab.example/#x":          "fragment",
		"https://localhost":                   "private network",
		"https://LOCALHOST":                   "private network",
		"https://127.0.0.1":                   "private network",
		"https://10.1.2.3":                    "private network",
		"https://192.168.0.1:8443":            "private network",
		"https://169.254.169.254":             "private network",
		"https://100.64.0.1":                  "private network",
		"https://0.0.0.0":                     "private network",
		"https://[::1]":                       "private network",
		"https://[fd00::1]":                   "private network",
		"https://[fe80::1]":                   "private network",
		"https://[::ffff:10.0.0.1]":           "private network",
		"https://224.0.0.1":                   "private network",
		"https://metadata.google.internal":    "private network",
		"http://127.0.0.1:8080":               "private network",
	} {
		a := lab()
		a.APIHost = address
		if err := a.Resolve(new(Config)); err == nil || !strings.HasPrefix(err.Error(), "api_host_url ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("api_host_url %s: %v, want %s", address, err, want)
		}
		a = lab()
		a.AccessToken = address
		err := a.Resolve(new(Config))
		if err == nil || !strings.HasPrefix(err.Error(), "access_token_url ") || strings.Contains(err.Error(), "sesame") {
			t.Errorf("access_token_url %s: %v", address, err)
		}
	}
	for _, path := range []string{"oauth2/token", "//evil.example/token", "?token", "", "\x00"} {
		a := lab()
		a.AccessToken = path
		if err := a.Resolve(new(Config)); err == nil {
			t.Errorf("access_token_url %q was taken", path)
		}
	}
	a := lab()
	a.APIHost = "http://127.0.0.1:8080"
	if err := a.Resolve(&Config{AllowPrivate: true}); err != nil {
		t.Errorf("with allow_private: %v", err)
	}
	a.APIHost = "http://10.1.2.3"
	if err := a.Resolve(&Config{AllowPrivate: true}); err == nil {
		t.Error("plain http to another machine was taken")
	}
}

// TestFHIRBaseAddress protects the audience, which a server compares byte by byte.
func TestFHIRBaseAddress(t *testing.T) {
	var c Config
	if err := (Addresses{FHIRBase: "https://FHIR.example.org/R4/"}).Resolve(&c); err != nil {
		t.Fatal(err)
	}
	if c.FHIRBase != "https://FHIR.example.org/R4/" || c.API.String() != "https://fhir.example.org/R4" || c.Protocol != SMART || c.AuthURL != nil {
		t.Errorf("%+v", c)
	}
	if err := (Addresses{FHIRBase: "http://fhir.example.org"}).Resolve(&c); err == nil || !strings.HasPrefix(err.Error(), "fhir_base ") {
		t.Error(err)
	}
}
