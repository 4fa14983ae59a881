// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// fingerprint returns a hash over every setting that calls depend on. The images and
// titles for people are not among them.
func (c *Config) fingerprint() string {
	lists := [][]string{
		{
			c.Name, string(c.Protocol), text(c.AuthURL), text(c.TokenURL), text(c.RefreshURL), text(c.RequestTokenURL), text(c.API), c.FHIRBase, c.Issuer,
			c.ClientID, c.ClientSecret.Fingerprint("sources"), string(c.ClientAuth), c.ClientKey.Fingerprint("sources"),
			c.ScopeSeparator, strconv.FormatBool(c.NoScope), string(c.Covers), strconv.FormatBool(c.NoPKCE),
			fmt.Sprintf("%q", c.Reply), string(c.Refresh), c.RefreshLife.String(), c.Grace.String(),
			c.Signature, strconv.FormatBool(c.CallbackAtAuthorize), strconv.FormatBool(c.SignatureInQuery), strconv.FormatBool(c.AllowPrivate),
		},
		c.Scopes, c.Reserve, pairs(c.AuthorizeParams), pairs(c.TokenParams), pairs(c.RefreshParams),
		c.Account.parts(), c.Label.parts(), c.Granted.parts(), c.AfterConnect.parts(), c.Revoke.parts(),
	}
	if c.APIRefused != nil {
		lists = append(lists, append([]string{"refused", c.APIRefused.Member}, c.APIRefused.Values...))
	}
	for _, name := range slices.Sorted(maps.Keys(c.APIHeaders)) {
		lists = append(lists, []string{name, c.APIHeaders[name].Fingerprint("sources")})
	}
	return delegation.Fingerprint(append(lists, c.HTTP.FingerprintParts())...)
}

func text(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.String()
}

func pairs(m map[string]string) []string {
	list := make([]string, 0, 2*len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, name, m[name])
	}
	return list
}

func (l *Lookup) parts() []string {
	if l == nil {
		return nil
	}
	return append([]string{string(l.In), text(l.URL), l.Path}, l.Or.parts()...)
}

func (c *Call) parts() []string {
	if c == nil {
		return nil
	}
	return append([]string{c.Method, c.URL, c.JSON, c.Auth, c.NonceURL, fmt.Sprint(c.OK)}, pairs(c.Form)...)
}
