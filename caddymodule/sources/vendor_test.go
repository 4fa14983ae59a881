// SPDX-License-Identifier: Apache-2.0

package sources

import "testing"

// TestVendor protects tokens from another vendor than they are of, and people from having
// to connect again after a change of settings that sends their tokens nowhere else.
func TestVendor(t *testing.T) {
	vendorOf := func(change func(*Config)) string {
		c := codeConfig()
		change(&c)
		return newCodeRig(t, func(r *Config) { *r = c }).Sources()[0].Vendor
	}
	before := vendorOf(func(*Config) {})
	for name, c := range map[string]struct {
		change func(*Config)
		same   bool
	}{
		"another API":                     {func(c *Config) { c.API = at("https://api.other.example/v1") }, false},
		"another port of the API":         {func(c *Config) { c.API = at("https://api.lab.example:8443/v1") }, false},
		"another token endpoint":          {func(c *Config) { c.TokenURL = at("https://login.other.example/token") }, false},
		"another host that refreshes":     {func(c *Config) { c.RefreshURL = at("https://api.other.example/token") }, false},
		"another version of the API":      {func(c *Config) { c.API = at("https://API.lab.example.:443/v2") }, true},
		"another path of the token":       {func(c *Config) { c.TokenURL = at("https://login.lab.example/oauth2/token") }, true},
		"the same host refreshes":         {func(c *Config) { c.RefreshURL = at("https://login.lab.example/refresh") }, true},
		"another client, name and scopes": {func(c *Config) { c.ClientID, c.Title, c.Scopes = "app-2", "Lab", nil }, true},
	} {
		if got := vendorOf(c.change); (got == before) != c.same {
			t.Errorf("%s: %s, was %s", name, got, before)
		}
	}
	base := func(address string) string {
		c := Config{FHIRBase: address, API: at(address)}
		return c.vendor()
	}
	if base("https://fhir.example/one") == base("https://fhir.example/two") {
		t.Error("two FHIR servers at one host are one vendor")
	}
}
