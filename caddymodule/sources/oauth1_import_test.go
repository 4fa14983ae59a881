// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestOAuth1Import protects people from a token of another program that does not work,
// or is somebody else's: it is tried by the address that says whose it is. A source
// without one believes it until its first use.
func TestOAuth1Import(t *testing.T) {
	r := newSignedRig(t, func(c *Config) { c.Account = &Lookup{In: InAnswer, URL: c.API.JoinPath("me"), Path: "user.id"} })
	hooks := r.Sources()[0].Hooks.(delegation.GrantImporter)
	line := delegation.GrantImport{Person: ada, Account: "4711", Access: delegation.NewSecret(canarySignedToken), AccessSecret: delegation.NewSecret(canaryTokenSecret)}
	read, err := hooks.ReadImport(&line)
	if err != nil {
		t.Fatal(err)
	}
	g := &delegation.Grant{Person: ada, Account: read.Account, Secret: read.Secret, Tokens: read.Tokens, Suspended: true}
	result, err := hooks.TryImport(t.Context(), g, false)
	if err != nil || result.Account != "9007199254740993" || !result.Tokens.Access.Equal(line.Access) {
		t.Errorf("%+v, %v; want the account that the vendor says", result, err)
	}
	g.Tokens.Access = delegation.NewSecret("of somebody who has left")
	_, err = hooks.TryImport(t.Context(), g, false)
	if code, text := r.code(err); code != delegation.DelegationRefused {
		t.Errorf("a token that is not known: %s %s", code, text)
	}
	for name, spoil := range map[string]func(*delegation.GrantImport){
		"no secret":       func(i *delegation.GrantImport) { i.AccessSecret = delegation.Secret{} },
		"a refresh token": func(i *delegation.GrantImport) { i.Refresh = delegation.NewSecret(canaryRefresh) },
		"a line break":    func(i *delegation.GrantImport) { i.Access = delegation.NewSecret("canary\r\n") },
		"scopes":          func(i *delegation.GrantImport) { i.Scopes = []string{"vitals"} },
		"no account":      func(i *delegation.GrantImport) { i.Account = "" },
	} {
		bad := line
		spoil(&bad)
		if _, err := hooks.ReadImport(&bad); err == nil {
			t.Errorf("%s is accepted", name)
		} else {
			r.clean(err.Error())
		}
	}

	r = newSignedRig(t, func(c *Config) { c.Account = nil })
	hooks, r.vendor.silent = r.Sources()[0].Hooks.(delegation.GrantImporter), true
	line.Account = ""
	read, err = hooks.ReadImport(&line)
	if err != nil || read.Account == "" {
		t.Fatal(read, err)
	}
	result, err = hooks.TryImport(t.Context(), &delegation.Grant{Person: ada, Account: read.Account, Secret: read.Secret, Tokens: read.Tokens, Suspended: true}, false)
	if err != nil || result.Account != "" || len(r.vendor.seen()) != 0 {
		t.Errorf("%+v, %v", result, err)
	}
}
