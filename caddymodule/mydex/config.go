// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"net/url"
	"regexp"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The environments.
const (
	// The environments.
	Live    = "live"
	Sandbox = "sandbox"
)

// environments are the addresses of each: of the API, of the token endpoint's host,
// and of the host where consent begins.
var environments = map[string][3]string{
	Live:    {"https://api.mydex.org", "https://op.mydexid.org", "https://idp.mydexid.org"},
	Sandbox: {"https://sbx-api.mydex.org", "https://sbx-op.mydexid.org", "https://sbx-idp.mydexid.org"},
}

// endpointPath is the path of the token endpoint.
const endpointPath = "/oauth2/token"

// ScopeAll is the scope that every token has. Datasets need no other one.
const ScopeAll = "mydex:pdx"

// Config is an account at Mydex: an OAuth client and a dedicated connection. Its
// values are plain: placeholders are expanded already.
type Config struct {
	// Environment is [Live] or [Sandbox]. Empty: all three addresses are set.
	Environment string
	// APIURL, TokenURL and IdentityURL take the place of the environment's
	// addresses: of the PDX API, of the whole token endpoint, and of the host where
	// consent begins.
	APIURL, TokenURL, IdentityURL string
	// ClientID and ClientSecret are the OAuth client's.
	ClientID     string
	ClientSecret delegation.Secret
	// LoadSecret reads the secret again, before each token. Nil: it does not
	// change.
	LoadSecret func() (delegation.Secret, error)
	// ConnectionNID and ConnectionToken are the dedicated connection's. The token
	// is not a member's key, which goes by a similar name.
	ConnectionNID   string
	ConnectionToken delegation.Secret
	// Scopes are the default of every route and the ceiling of what an `allow` line
	// may ask for. mydex:pdx is always among them.
	Scopes []string
	// Rules set the style of routes.
	Rules []Rule
	// HTTP are the settings of connections to the platform; may be nil.
	HTTP *delegation.HTTP
}

var nidRE = regexp.MustCompile(`^[0-9]{1,18}$`)

// validate sets the defaults, and refuses what cannot work or is unsafe. It returns
// the API's address. Every error begins with the setting's name in the Caddyfile.
func (c *Config) validate() (api *url.URL, err error) {
	if err := c.CheckComplete(); err != nil {
		return nil, err
	}
	defaults := environments[c.Environment]
	if c.APIURL == "" {
		c.APIURL = defaults[0]
	}
	if c.TokenURL == "" {
		c.TokenURL = defaults[1] + endpointPath
	}
	if c.IdentityURL == "" {
		c.IdentityURL = defaults[2]
	}
	for _, setting := range []struct {
		name, example string
		to            *string
	}{
		{"token_url", "https://op.mydexid.org" + endpointPath, &c.TokenURL},
		{"identity_url", "https://idp.mydexid.org", &c.IdentityURL},
		{"api_url", "https://api.mydex.org", &c.APIURL},
	} {
		if api, err = delegation.ParseBaseURL(setting.name, setting.example, *setting.to); err != nil {
			return nil, err
		}
		*setting.to = api.String()
	}
	if !nidRE.MatchString(c.ConnectionNID) {
		return nil, errors.New("connection_nid is no number: give the NID of the dedicated connection")
	}
	if c.Scopes, err = checkScopes(c.Scopes); err != nil {
		return nil, err
	}
	return api, nil
}

// checkScopes returns the scopes with [ScopeAll], sorted and each once.
func checkScopes(scopes []string) ([]string, error) {
	all := []string{ScopeAll}
	for _, s := range scopes {
		if !delegation.IsScope(s) {
			return nil, errors.New("scopes holds a character that no scope has: separate scopes by blanks, such as mydex:pdx get:/timeline")
		}
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	slices.Sort(all)
	return all, nil
}

// connectionTokenHash is the SHA-512 of the connection's token, in hexadecimal. The
// platform is shown it when consent begins, and shows it in its callbacks.
func (c *Config) connectionTokenHash() string {
	sum := sha512.Sum512([]byte(c.ConnectionToken.Reveal()))
	return hex.EncodeToString(sum[:])
}

// clientName names the client in the identities of tokens.
func (c *Config) clientName() string { return c.ClientID + " " + c.ConnectionNID }

// fingerprint is a hash over every setting.
func (c *Config) fingerprint() string {
	settings := [][]string{
		{"mydex", c.APIURL, c.TokenURL, c.IdentityURL, c.ClientID, c.ClientSecret.Fingerprint("mydex"), c.ConnectionNID, c.ConnectionToken.Fingerprint("mydex")},
		c.Scopes,
	}
	for _, r := range c.Rules {
		settings = append(settings, append([]string{r.Style.String(), r.Pattern}, r.Methods...))
	}
	settings = append(settings, c.HTTP.FingerprintParts())
	return delegation.Fingerprint(settings...)
}
