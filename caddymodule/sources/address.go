// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
)

// Words that stand where an address could.
const (
	NoRequestToken = "none" // of request_token_url: the source speaks OAuth 2
	AutoAuth       = "auto" // of full_auth_url: auth_host_url and auth_url
)

// Addresses are those of a source as the administrator writes them.
type Addresses struct {
	AuthHost, APIHost, Auth, RequestToken, AccessToken, FullAuth string // the six of every source

	Refresh  string // "": AccessToken
	FHIRBase string // instead of the six
}

// Resolve sets the protocol and the addresses of c, of which it reads AllowPrivate, and
// the scopes if those stand only in FullAuth. A path is one at its host: that of
// Auth at AuthHost, the others at APIHost. The error begins with the setting's name
// and does not repeat the address, which may hold a secret.
func (a Addresses) Resolve(c *Config) (err error) {
	if a.FHIRBase != "" {
		c.Protocol, c.FHIRBase = SMART, a.FHIRBase
		c.API, err = parseBase("fhir_base", a.FHIRBase, c.AllowPrivate)
		return err
	}
	if c.API, err = parseBase("api_host_url", a.APIHost, c.AllowPrivate); err != nil {
		return err
	}
	authHost, err := parseBase("auth_host_url", a.AuthHost, c.AllowPrivate)
	if err != nil {
		return err
	}
	if c.AuthURL, err = parseAddress("auth_url", a.Auth, authHost, c.AllowPrivate); err != nil {
		return err
	}
	if a.FullAuth != AutoAuth {
		if c.AuthURL, err = parseAddress("full_auth_url", a.FullAuth, nil, c.AllowPrivate); err != nil {
			return err
		}
	}
	c.stripAuthURL()
	if c.TokenURL, err = parseAddress("access_token_url", a.AccessToken, c.API, c.AllowPrivate); err != nil {
		return err
	}
	c.Protocol = OAuth2
	if a.RequestToken != NoRequestToken {
		c.Protocol = OAuth1
		if c.RequestTokenURL, err = parseAddress("request_token_url", a.RequestToken, c.API, c.AllowPrivate); err != nil {
			return err
		}
	}
	if a.Refresh != "" {
		c.RefreshURL, err = parseAddress("refresh_url", a.Refresh, c.API, c.AllowPrivate)
	}
	return err
}

// ourParameters are those of the vendor's page that are of each flow: one that was
// pasted would have everybody share a state, or send people to somebody else.
var ourParameters = []string{
	"state", "redirect_uri", "client_id", "response_type", "code_challenge", "code_challenge_method",
	"oauth_token", "oauth_callback",
}

// stripAuthURL takes out of the address what is of each flow, and the scopes, which
// are those of the source unless it states others.
func (c *Config) stripAuthURL() {
	query := c.AuthURL.Query()
	if asked := query.Get("scope"); asked != "" && c.Scopes == nil && !c.NoScope {
		separator := c.ScopeSeparator
		if separator == "" {
			separator = " "
		}
		c.Scopes = strings.Split(asked, separator)
	}
	for _, name := range append(ourParameters, "scope") {
		query.Del(name)
	}
	c.AuthURL.RawQuery = query.Encode()
}

// AtAPI returns an address, or a path at the API host.
func (c *Config) AtAPI(setting, address string) (*url.URL, error) {
	return parseAddress(setting, address, c.API, c.AllowPrivate)
}

// APIOrigin returns scheme and host of the API.
func (c *Config) APIOrigin() string { return c.API.Scheme + "://" + c.API.Host }

// parseBase returns the base of a host's addresses.
func parseBase(setting, address string, allowPrivate bool) (*url.URL, error) {
	base, err := delegation.ParseBaseURL(setting, "https://api.vendor.example", address)
	if err != nil {
		return nil, err
	}
	return base, checkHost(setting, base, allowPrivate)
}

// parseAddress returns an address, or a path at a host, which may be nil.
func parseAddress(setting, address string, host *url.URL, allowPrivate bool) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is no address: write it like https://vendor.example/oauth", setting)
	case u.Fragment != "" || strings.Contains(address, "#"):
		return nil, fmt.Errorf("%s holds a fragment: remove everything from the # on", setting)
	case u.User != nil:
		return nil, fmt.Errorf("%s holds a user name or password: remove it", setting)
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/") && host != nil:
		u = host.ResolveReference(u)
	case u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" || u.Hostname() == "":
		return nil, fmt.Errorf("%s is no address: write one with https://, or where it may be one a path that begins with /", setting)
	}
	u.Host = strings.ToLower(u.Host)
	return u, checkHost(setting, u, allowPrivate)
}

// checkHost refuses plain http but to this machine, and hosts that are no vendor's by
// their form. What a name resolves to is checked when it is dialled.
func checkHost(setting string, u *url.URL, allowPrivate bool) error {
	host := u.Hostname()
	if u.Scheme == "http" && !delegation.IsLoopback(host) {
		return fmt.Errorf("%s is http: use https, or anybody on the way reads what people consented to", setting)
	}
	if !allowPrivate && isPrivate(host) {
		return fmt.Errorf("%s is on this machine or in a private network: add allow_private if the source is there", setting)
	}
	return nil
}

// isPrivate reports whether a host is by its form not on the public Internet.
func isPrivate(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".internal") || strings.HasSuffix(host, ".local") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	return !publicaddr.IsPublic(ip)
}
