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

// MyDataHelps is an account at MyDataHelps: a service account of one project,
// which obtains tokens for its participants.
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

	// Scopes a participant token has where a route or directive names none,
	// and the most it may have. Required.
	Scopes []string `json:"scopes,omitempty"`

	// Participant tells how the signed-in user's participant is found. Required.
	Participant *Participant `json:"participant,omitempty"`

	// HTTP says how the platform is reached. Default: directly.
	HTTP *HTTP `json:"http,omitempty"`

	*mydatahelps.Provider `json:"-"`
}

// Participant tells how a signed-in user's participant is found.
type Participant struct {
	// By is `id` (the session holds the participant's ID), `identifier` (the
	// participantIdentifier equals the value) or `field` (a custom field does).
	By string `json:"by"`

	// Field is the name of the custom field.
	Field string `json:"field,omitempty"`

	// Query is the parameter by which the platform's participant list can be
	// filtered for the field, where the operator knows one. Default: none; an
	// index over the whole list is kept instead.
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

// Provision expands the settings and parses the keys. It opens nothing.
func (m *MyDataHelps) Provision(ctx caddy.Context) error {
	if m.Participant == nil {
		return fmt.Errorf("participant: say how participants are found: participant_identifier, participant_id or participant_field")
	}
	repl := caddy.NewReplacer()
	config := mydatahelps.Config{
		Scopes: m.Scopes,
		Participant: mydatahelps.Participant{
			By: m.Participant.By, Field: m.Participant.Field, Query: m.Participant.Query, Claim: m.Participant.Value,
		},
	}
	for _, setting := range []struct {
		name, value string
		to          *string
	}{
		{"base_url", m.BaseURL, &config.BaseURL},
		{"project", m.Project, &config.Project},
		{"service_account", m.ServiceAccount, &config.Account},
		{"client_id", m.ClientID, &config.ClientID},
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
	config.LoadKeys = func() ([]*rsa.PrivateKey, error) { return loadKeys(m.PrivateKeys) }
	var err error
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

// loadKeys reads the keys from where the settings say they are.
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

// loadKey expands and parses a key.
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
			if len(m.Scopes) > 0 {
				return d.Err("scopes is set already")
			}
			if m.Scopes = d.RemainingArgs(); len(m.Scopes) == 0 {
				return d.Err("scopes needs at least one scope")
			}
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
	if query != "" {
		if m.Participant == nil || m.Participant.By != mydatahelps.ByField {
			return d.Err("participant_query goes with participant_field only")
		}
		m.Participant.Query = query
	}
	return m.validate(d)
}

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
		// Shorthands such as {rp.header.X} are expanded in site blocks only.
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

// validate reports what can be known to be wrong before any placeholder is expanded.
func (m *MyDataHelps) validate(d *caddyfile.Dispenser) error {
	switch {
	case m.Project == "":
		return d.Err("project is missing: the project's ID")
	case m.ServiceAccount == "":
		return d.Err("service_account is missing: the service account's name")
	case len(m.PrivateKeys) == 0:
		return d.Err("private_key is missing: {file.…} or {env.…} with the service account's key")
	case len(m.PrivateKeys) > 2:
		return d.Err("private_key may stand twice, during rotation, not more")
	case len(m.Scopes) == 0:
		return d.Err("scopes is missing: the scopes a participant token may have, such as Participant:read")
	case m.Participant == nil:
		return d.Err("participant_identifier, participant_id or participant_field is missing: say how a user's participant is found")
	}
	if m.BaseURL != "" && !strings.Contains(m.BaseURL, "{") {
		if err := mydatahelps.CheckBaseURL(m.BaseURL); err != nil {
			return d.WrapErr(err)
		}
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
