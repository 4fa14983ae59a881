// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/rsa"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/mydatahelps"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

func init() {
	caddy.RegisterModule(MyDataHelps{})
}

// MyDataHelps is an account at MyDataHelps: the service account of one project,
// which obtains tokens for the project's participants.
type MyDataHelps struct {
	// BaseURL is the address of the platform; the token endpoint is derived
	// from it. Accepts {env.*} and {file.*}. Default: `https://mydatahelps.org`.
	BaseURL string `json:"base_url,omitempty"`

	// Project is the project's ID. Required. Accepts {env.*} and {file.*}.
	Project string `json:"project,omitempty"`

	// ServiceAccount is the service account's name, such as
	// MyDataHelps.12345.proxy. Required. Accepts {env.*} and {file.*}.
	ServiceAccount string `json:"service_account,omitempty"`

	// PrivateKeys are the service account's RSA keys in PEM (PKCS#1 or
	// PKCS#8), one, or two while keys are rotated. Required. Give
	// {file.*} or {env.*}; a key written here in clear shows in the config API.
	PrivateKeys []string `json:"private_keys,omitempty"`

	// ClientID identifies the app in requests for participant tokens.
	// Default: `MyDataHelps.DelegatedParticipant`.
	ClientID string `json:"client_id,omitempty"`

	// Scopes are the scopes of a participant token where a route or directive
	// names none, and the most that one may name. Required.
	Scopes []string `json:"scopes,omitempty"`

	// Participant is the way in which a signed-in user's participant is found.
	// Required.
	Participant *Participant `json:"participant,omitempty"`

	// HTTP are the settings of connections to the platform. Default: direct
	// connections.
	HTTP *HTTP `json:"http,omitempty"`

	*mydatahelps.Provider `json:"-"`
}

// Participant is the way in which a signed-in user's participant is found.
type Participant struct {
	// By is `id` (the value is the participant's ID), `identifier` (it is the
	// participantIdentifier) or `field` (it is the value of a custom field).
	By string `json:"by"`

	// Field is the name of the custom field.
	Field string `json:"field,omitempty"`

	// Query is the parameter by which the platform filters its list of
	// participants for the field, where it has one. Default: none; this server
	// keeps an index over the whole list instead.
	Query string `json:"query,omitempty"`

	// Value is the placeholder that holds the value, such as
	// {http.auth.user.participant}. Default: the subject.
	Value string `json:"value,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (MyDataHelps) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "delegate.providers.mydatahelps",
		New: func() caddy.Module { return new(MyDataHelps) },
	}
}

// Provision expands the settings, parses the keys and has package mydatahelps
// check all. It touches no network; of files it reads keys and certificates.
func (m *MyDataHelps) Provision(ctx caddy.Context) error {
	repl := caddy.NewReplacer()
	config := mydatahelps.Config{Scopes: m.Scopes, Participant: m.Participant.config()}
	err := expandNamed(repl,
		namedSetting{"base_url", m.BaseURL, &config.BaseURL},
		namedSetting{"project", m.Project, &config.Project},
		namedSetting{"service_account", m.ServiceAccount, &config.Account},
		namedSetting{"client_id", m.ClientID, &config.ClientID},
	)
	if err != nil {
		return err
	}
	config.LoadKeys = func() ([]*rsa.PrivateKey, error) { return loadKeys(m.PrivateKeys) }
	if config.Keys, err = config.LoadKeys(); err != nil {
		return err
	}
	if config.HTTP, err = m.HTTP.settings(repl); err != nil {
		return err
	}
	if m.Provider, err = mydatahelps.New(config); err != nil {
		return err
	}
	for _, warning := range m.Provider.Warnings() {
		ctx.Logger().Warn(warning)
	}
	return nil
}

// config is the participant as package mydatahelps has it; nil is the zero
// value.
func (p *Participant) config() mydatahelps.Participant {
	if p == nil {
		return mydatahelps.Participant{}
	}
	return mydatahelps.Participant{By: p.By, Field: p.Field, Query: p.Query, Claim: p.Value}
}

// loadKeys expands and parses the private keys, each time anew: {file.*} may
// have changed. Its errors begin with private_key.
func loadKeys(settings []string) ([]*rsa.PrivateKey, error) {
	repl := caddy.NewReplacer()
	keys := make([]*rsa.PrivateKey, len(settings))
	for i, setting := range settings {
		var err error
		if keys[i], err = loadKey(repl, setting); err != nil {
			return nil, fmt.Errorf("private_key: %w", err)
		}
	}
	return keys, nil
}

// loadKey expands and parses one private key.
func loadKey(repl *caddy.Replacer, setting string) (*rsa.PrivateKey, error) {
	text, err := expandSecret(repl, setting)
	if err != nil {
		return nil, err
	}
	return oauth.ParseKey(text)
}

// UnmarshalCaddyfile reads:
//
//	provider <name> [mydatahelps] {
//	    base_url               <url>
//	    project                <id>
//	    service_account        <name>
//	    private_key            <pem>                  # twice during rotation
//	    client_id              <id>
//	    scopes                 <scopes...>
//	    participant_identifier [<placeholder>]        # one of these three
//	    participant_id         [<placeholder>]
//	    participant_field      <name> [<placeholder>]
//	    participant_query      <parameter>            # with participant_field
//	    http {
//	        proxy   <url>
//	        ca_file <file>
//	        timeout <duration>
//	    }
//	}
func (m *MyDataHelps) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // name or kind
	var query string
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "base_url":
			err = parseOnce(d, &m.BaseURL)
		case "project":
			err = parseOnce(d, &m.Project)
		case "service_account":
			err = parseOnce(d, &m.ServiceAccount)
		case "client_id":
			err = parseOnce(d, &m.ClientID)
		case "private_key":
			var key string
			if err = parseOnce(d, &key); err == nil {
				m.PrivateKeys = append(m.PrivateKeys, key)
			}
		case "scopes":
			err = parseScopes(d, &m.Scopes)
		case "participant_id", "participant_identifier", "participant_field":
			err = m.parseParticipant(d)
		case "participant_query":
			err = parseOnce(d, &query)
		case "http":
			err = parseHTTP(d, &m.HTTP)
		default:
			return d.Errf("unrecognized subdirective %q of provider mydatahelps", word)
		}
		if err != nil {
			return err
		}
	}
	if query != "" && m.Participant != nil { // it may stand before participant_field
		m.Participant.Query = query
	}
	return m.checkComplete(d)
}

// parseParticipant reads participant_id, participant_identifier or
// participant_field with their arguments.
func (m *MyDataHelps) parseParticipant(d *caddyfile.Dispenser) error {
	word := d.Val()
	if m.Participant != nil {
		return d.Errf("%s: participant_%s is set already, choose one", word, m.Participant.By)
	}
	m.Participant = &Participant{By: strings.TrimPrefix(word, "participant_")}
	if m.Participant.By == mydatahelps.ByField {
		if !d.NextArg() {
			return d.Err("participant_field needs the name of a custom field")
		}
		m.Participant.Field = d.Val()
	}
	if d.NextArg() {
		// Caddy expands shorthands such as {rp.header.X} in site blocks only.
		segment := caddyfile.Segment{d.Token()}
		httpcaddyfile.NewShorthandReplacer().ApplyToSegment(&segment)
		m.Participant.Value = segment[0].Text
		if err := checkPlaceholder(m.Participant.Value); err != nil {
			return d.Errf("%s: %v", word, err)
		}
	}
	if d.NextArg() {
		return d.Errf("%s takes one placeholder, not %q as well", word, d.Val())
	}
	return nil
}

// checkComplete has package mydatahelps check, with file and line, what can be
// known before placeholders are expanded.
func (m *MyDataHelps) checkComplete(d *caddyfile.Dispenser) error {
	config := mydatahelps.Config{
		Project: m.Project, Account: m.ServiceAccount, Keys: make([]*rsa.PrivateKey, len(m.PrivateKeys)),
		Scopes: m.Scopes, Participant: m.Participant.config(),
	}
	err := config.CheckComplete()
	if err == nil && m.BaseURL != "" && !strings.Contains(m.BaseURL, "{") {
		err = mydatahelps.CheckBaseURL(m.BaseURL)
	}
	if err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner             = (*MyDataHelps)(nil)
	_ caddyfile.Unmarshaler         = (*MyDataHelps)(nil)
	_ delegation.Provider           = (*MyDataHelps)(nil)
	_ delegation.TokenIssuer        = (*MyDataHelps)(nil)
	_ delegation.ParticipantChecker = (*MyDataHelps)(nil)
	_ delegation.Checker            = (*MyDataHelps)(nil)
)
