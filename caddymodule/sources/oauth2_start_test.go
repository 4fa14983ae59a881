// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestVendorPage protects people from a flow of somebody else's: state, redirect URI,
// client and code challenge are ours, whatever the address says. It has what vendors
// want there besides.
func TestVendorPage(t *testing.T) {
	challenge := sha256.Sum256([]byte("the-verifier"))
	usual := map[string]string{
		"response_type": "code", "client_id": "app", "redirect_uri": "https://app.example/connect/return/lab", "state": "the state",
		"scope": "vitals sleep", "code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
	}
	for name, c := range map[string]struct {
		change func(*Config)
		scopes []string
		grant  *delegation.Grant
		want   map[string]string // besides the usual ones; "": it is not there
	}{
		"usual": {},
		"pasted": {change: func(c *Config) {
			c.AuthURL = at("https://login.lab.example/authorize?lang=de&state=fixed&redirect_uri=https://evil.example&client_id=other&code_challenge=x&code_challenge_method=plain&response_mode=form_post&request_uri=urn:x#frag")
		}, want: map[string]string{"lang": "de", "response_mode": "", "request_uri": ""}},
		"google": {change: func(c *Config) {
			c.AuthorizeParams = map[string]string{"access_type": "offline", "prompt": "consent"}
		}, want: map[string]string{"access_type": "offline", "prompt": "consent"}},
		"withings": {change: func(c *Config) { c.ScopeSeparator, c.NoPKCE = ",", true }, want: map[string]string{
			"scope": "vitals,sleep", "code_challenge": "", "code_challenge_method": "",
		}},
		"garmin":          {change: func(c *Config) { c.NoScope, c.Scopes = true, nil }, want: map[string]string{"scope": ""}},
		"a parameter":     {change: func(c *Config) { c.AuthorizeParams = map[string]string{"back": RedirectURI} }, want: map[string]string{"back": "https://app.example/connect/return/lab"}},
		"named":           {scopes: []string{"sleep"}, want: map[string]string{"scope": "sleep"}},
		"named, and more": {scopes: []string{"sleep"}, grant: &delegation.Grant{Scopes: []string{"vitals", "gone"}}, want: map[string]string{"scope": "vitals sleep"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCodeRig(t, c.change)
			page := r.page(c.scopes, c.grant)
			if page.Host != "login.lab.example" || page.Path != "/authorize" || page.Fragment != "" || strings.Contains(page.RawQuery, "+") {
				t.Errorf("%s", page)
			}
			query := page.Query()
			for name, want := range usual {
				if other, ok := c.want[name]; ok {
					want = other
				}
				if got := query.Get(name); got != want || len(query[name]) > 1 {
					t.Errorf("%s is %q, want %q", name, query[name], want)
				}
				query.Del(name)
			}
			for name, want := range c.want {
				if _, ours := usual[name]; !ours && query.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, query.Get(name), want)
				}
				query.Del(name)
			}
			if len(query) > 0 {
				t.Errorf("besides: %v", query)
			}
		})
	}
}
