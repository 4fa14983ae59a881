// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/mydex"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

func init() {
	caddy.RegisterModule(Mydex{})
}

// Mydex is an account at Mydex: an OAuth client and a dedicated connection,
// whose members' keys are kept as grants. Members consent by delegate_connect.
type Mydex struct {
	// Environment is `live` or `sandbox`. Required, unless all three addresses
	// are given.
	Environment string `json:"environment,omitempty"`

	// APIURL is the address of the PDX API. Default: the environment's.
	APIURL string `json:"api_url,omitempty"`

	// TokenURL is the token endpoint. Default: the environment's.
	TokenURL string `json:"token_url,omitempty"`

	// IdentityURL is where consent is begun (IDaaS). Default: the environment's.
	IdentityURL string `json:"identity_url,omitempty"`

	// ClientID is the OAuth client's. Required. Accepts {env.*} and {file.*}.
	ClientID string `json:"client_id,omitempty"`

	// ClientSecret is the OAuth client's. Required. Give {file.*} or {env.*}; one
	// written here in clear shows in the config API.
	ClientSecret string `json:"client_secret,omitempty"`

	// ConnectionNID is the number of the dedicated connection. Required. Accepts
	// {env.*} and {file.*}.
	ConnectionNID string `json:"connection_nid,omitempty"`

	// ConnectionToken is the dedicated connection's. Required. Give {file.*} or
	// {env.*}.
	ConnectionToken string `json:"connection_token,omitempty"`

	// Scopes a token has where a route names none, and the most it may have;
	// mydex:pdx is always among them. Default: mydex:pdx.
	Scopes []string `json:"scopes,omitempty"`

	// Styles say where routes want the member's identity, the first that fits.
	// Default: datasets below /api/pds/pds and /api/pds/transaction, blocks
	// everywhere else.
	Styles []MydexStyle `json:"styles,omitempty"`

	// HTTP says how the platform is reached. Default: directly.
	HTTP *HTTP `json:"http,omitempty"`

	*mydex.Provider `json:"-"`
}

// MydexStyle says where some routes want the member's identity.
type MydexStyle struct {
	// Style is `datasets` (in the query), `blocks` (in the header
	// Connection-Token) or `none`.
	Style string `json:"style"`
	// Methods it is for. Default: all.
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

// Provision expands the settings. It opens nothing.
func (m *Mydex) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	config := mydex.Config{Environment: m.Environment, Scopes: m.Scopes}
	for _, setting := range []struct {
		name, value string
		to          *string
	}{
		{"api_url", m.APIURL, &config.APIURL},
		{"token_url", m.TokenURL, &config.TokenURL},
		{"identity_url", m.IdentityURL, &config.IdentityURL},
		{"client_id", m.ClientID, &config.ClientID},
		{"connection_nid", m.ConnectionNID, &config.ConnectionNID},
	} {
		if setting.value == "" {
			continue
		}
		value, err := expandSetting(repl, setting.value)
		if err != nil {
			return fmt.Errorf("%s: %w", setting.name, err)
		}
		*setting.to = strings.TrimSpace(value)
	}
	config.LoadSecret = func() (delegation.Secret, error) { return loadSecret("client_secret", m.ClientSecret) }
	var err error
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

// Cleanup lets go of idle connections.
func (m *Mydex) Cleanup() error {
	if m.Provider == nil {
		return nil
	}
	return m.Provider.Close()
}

// loadSecret reads a secret.
func loadSecret(name, setting string) (delegation.Secret, error) {
	text, err := readSecret(caddy.NewReplacer(), name, setting)
	if err != nil {
		return delegation.Secret{}, err
	}
	return delegation.NewSecret(text), nil
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
			if len(m.Scopes) > 0 {
				return d.Err("scopes is set already")
			}
			if m.Scopes = d.RemainingArgs(); len(m.Scopes) == 0 {
				return d.Err("scopes needs at least one scope")
			}
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
	return m.validate(d)
}

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

// validate reports what can be known to be wrong before any placeholder is
// expanded.
func (m *Mydex) validate(d *caddyfile.Dispenser) error {
	switch {
	case m.Environment == "" && (m.APIURL == "" || m.TokenURL == "" || m.IdentityURL == ""):
		return d.Err("environment is missing: live or sandbox; or give api_url, token_url and identity_url")
	case m.Environment != "" && m.Environment != mydex.Live && m.Environment != mydex.Sandbox:
		return d.Errf("environment is live or sandbox, not %q", m.Environment)
	case m.ClientID == "":
		return d.Err("client_id is missing: the OAuth client's, from Mydex")
	case m.ClientSecret == "":
		return d.Err("client_secret is missing: {file.…} or {env.…} with the OAuth client's")
	case m.ConnectionNID == "":
		return d.Err("connection_nid is missing: the number of the dedicated connection")
	case m.ConnectionToken == "":
		return d.Err("connection_token is missing: {file.…} or {env.…} with the dedicated connection's")
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner                = (*Mydex)(nil)
	_ caddy.CleanerUpper               = (*Mydex)(nil)
	_ caddyfile.Unmarshaler            = (*Mydex)(nil)
	_ delegation.Provider              = (*Mydex)(nil)
	_ delegation.Connector             = (*Mydex)(nil)
	_ delegation.UnauthorizedDiagnoser = (*Mydex)(nil)
	_ delegation.Checker               = (*Mydex)(nil)
)
