// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/mydex"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

func init() {
	caddy.RegisterModule(Mydex{})
}

// Mydex is an account at Mydex: an OAuth client and a dedicated connection. The
// members' keys are kept as grants; members consent at delegate_connect.
type Mydex struct {
	// Environment is `live` or `sandbox`. Required, unless the three addresses
	// are set.
	Environment string `json:"environment,omitempty"`

	// APIURL is the address of the PDX API. Default: the environment's.
	APIURL string `json:"api_url,omitempty"`

	// TokenURL is the token endpoint. Default: the environment's.
	TokenURL string `json:"token_url,omitempty"`

	// IdentityURL is the address of IDaaS, where members consent. Default: the
	// environment's.
	IdentityURL string `json:"identity_url,omitempty"`

	// ClientID is the OAuth client's. Required. Accepts {env.*} and {file.*}.
	ClientID string `json:"client_id,omitempty"`

	// ClientSecret is the OAuth client's. Required. Give {file.*} or {env.*}: a
	// secret written here in clear shows in the config API.
	ClientSecret string `json:"client_secret,omitempty"`

	// ConnectionNID is the number of the dedicated connection. Required. Accepts
	// {env.*} and {file.*}.
	ConnectionNID string `json:"connection_nid,omitempty"`

	// ConnectionToken is the dedicated connection's. Required. Give {file.*} or
	// {env.*}.
	ConnectionToken string `json:"connection_token,omitempty"`

	// Scopes are the scopes of a token where a route names none, and the most
	// that a route may name. mydex:pdx is always among them. Default: mydex:pdx.
	Scopes []string `json:"scopes,omitempty"`

	// Styles are the places where routes want the member's identity; the first
	// that fits a route counts. Default: datasets below /api/pds/pds and
	// /api/pds/transaction, blocks everywhere else.
	Styles []MydexStyle `json:"styles,omitempty"`

	// HTTP are the settings of connections to the platform. Default: direct
	// connections.
	HTTP *HTTP `json:"http,omitempty"`

	*mydex.Provider `json:"-"`
}

// MydexStyle is the place where some routes want the member's identity.
type MydexStyle struct {
	// Style is `datasets` (the identity is in the query), `blocks` (in the header
	// Connection-Token) or `none`.
	Style string `json:"style"`

	// Methods are the request methods of the routes, upper case. Default: all.
	Methods []string `json:"methods,omitempty"`

	// Path is a pattern, as in `allow`.
	Path string `json:"path"`
}

// CaddyModule returns the Caddy module information.
func (Mydex) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "delegate.providers.mydex",
		New: func() caddy.Module { return new(Mydex) },
	}
}

// Provision expands the settings and has package mydex check them. It touches
// no network; of files it reads secrets and certificates.
func (m *Mydex) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	config := mydex.Config{Environment: m.Environment, Scopes: m.Scopes}
	err := expandNamed(repl,
		namedSetting{"api_url", m.APIURL, &config.APIURL},
		namedSetting{"token_url", m.TokenURL, &config.TokenURL},
		namedSetting{"identity_url", m.IdentityURL, &config.IdentityURL},
		namedSetting{"client_id", m.ClientID, &config.ClientID},
		namedSetting{"connection_nid", m.ConnectionNID, &config.ConnectionNID},
	)
	if err != nil {
		return err
	}
	config.LoadSecret = func() (delegation.Secret, error) { return loadSecret("client_secret", m.ClientSecret) }
	if config.ClientSecret, err = config.LoadSecret(); err != nil {
		return err
	}
	if config.ConnectionToken, err = loadSecret("connection_token", m.ConnectionToken); err != nil {
		return err
	}
	for _, s := range m.Styles {
		style, err := mydex.ParseStyle(s.Style)
		if err != nil {
			return err
		}
		config.Rules = append(config.Rules, mydex.Rule{Style: style, Methods: s.Methods, Pattern: s.Path})
	}
	if config.HTTP, err = m.HTTP.settings(repl); err != nil {
		return err
	}
	m.Provider, err = mydex.New(config)
	return err
}

// Cleanup closes idle connections to the platform.
func (m *Mydex) Cleanup() error {
	if m.Provider == nil {
		return nil
	}
	return m.Provider.Close()
}

// UnmarshalCaddyfile reads:
//
//	provider <name> [mydex] {
//	    environment      live|sandbox
//	    api_url          <url>
//	    token_url        <url>
//	    identity_url     <url>
//	    client_id        <id>
//	    client_secret    <secret>
//	    connection_nid   <number>
//	    connection_token <token>
//	    scopes           <scopes...>
//	    style            datasets|blocks|none [<methods>] <pattern>   # may stand again
//	    http {
//	        proxy   <url>
//	        ca_file <file>
//	        timeout <duration>
//	    }
//	}
func (m *Mydex) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // name or kind
	words := map[string]*string{
		"environment": &m.Environment, "api_url": &m.APIURL, "token_url": &m.TokenURL, "identity_url": &m.IdentityURL,
		"client_id": &m.ClientID, "client_secret": &m.ClientSecret, "connection_nid": &m.ConnectionNID, "connection_token": &m.ConnectionToken,
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "scopes":
			err = parseScopes(d, &m.Scopes)
		case "style":
			err = m.parseStyle(d)
		case "http":
			err = parseHTTP(d, &m.HTTP)
		default:
			to, ok := words[word]
			if !ok {
				return d.Errf("unrecognized subdirective %q of provider mydex", word)
			}
			err = parseOnce(d, to)
		}
		if err != nil {
			return err
		}
	}
	return m.checkComplete(d)
}

// checkComplete has package mydex check, with file and line, what can be known
// before placeholders are expanded.
func (m *Mydex) checkComplete(d *caddyfile.Dispenser) error {
	config := mydex.Config{
		Environment: m.Environment, APIURL: m.APIURL, TokenURL: m.TokenURL, IdentityURL: m.IdentityURL,
		ClientID: m.ClientID, ClientSecret: delegation.NewSecret(m.ClientSecret),
		ConnectionNID: m.ConnectionNID, ConnectionToken: delegation.NewSecret(m.ConnectionToken),
	}
	if err := config.CheckComplete(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseStyle reads the arguments of style: a style, methods and a pattern.
func (m *Mydex) parseStyle(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("style needs datasets, blocks or none, and a pattern")
	}
	style := d.Val()
	if _, err := mydex.ParseStyle(style); err != nil {
		return d.WrapErr(err)
	}
	route, err := policy.ParseRoute(d.RemainingArgs())
	if err != nil {
		return d.WrapErr(err)
	}
	if len(route.Scopes) > 0 {
		return d.Errf("style takes no scopes: remove %q", route.Scopes)
	}
	m.Styles = append(m.Styles, MydexStyle{Style: style, Methods: route.Methods, Path: route.Pattern})
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner                = (*Mydex)(nil)
	_ caddy.CleanerUpper               = (*Mydex)(nil)
	_ caddyfile.Unmarshaler            = (*Mydex)(nil)
	_ delegation.Provider              = (*Mydex)(nil)
	_ delegation.ConsentStarter        = (*Mydex)(nil)
	_ delegation.CallbackReader        = (*Mydex)(nil)
	_ delegation.GrantDecoder          = (*Mydex)(nil)
	_ delegation.ConsentProber         = (*Mydex)(nil)
	_ delegation.UnauthorizedDiagnoser = (*Mydex)(nil)
	_ delegation.Checker               = (*Mydex)(nil)
)
