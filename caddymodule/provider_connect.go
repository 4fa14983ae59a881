// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/connect"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

func init() {
	caddy.RegisterModule(ConnectPlatform{})
}

// ConnectPlatform is an application at a data platform with a Connect widget. Users
// consent in the widget; their access tokens are kept as grants.
type ConnectPlatform struct {
	// Preset is `developer_console` or `human_connect_v1`: the words of the wire,
	// and the addresses if they are the same for everybody.
	// Default: `developer_console`.
	Preset string `json:"preset,omitempty"`

	// ClientID is the application's. Required. Accepts {env.*} and {file.*}.
	ClientID string `json:"client_id,omitempty"`

	// ClientSecret is the application's. Required. Give {file.*} or {env.*}: a
	// secret written here in clear shows in the config API.
	ClientSecret string `json:"client_secret,omitempty"`

	// ExchangeURL is where the platform exchanges the widget's one-time token.
	// Required, unless the preset has it. Accepts {env.*} and {file.*}.
	ExchangeURL string `json:"exchange_url,omitempty"`

	// APIURL is the base of data calls. Required, unless the preset has it.
	// Accepts {env.*} and {file.*}.
	APIURL string `json:"api_url,omitempty"`

	// WidgetURL is the platform's script for the page. Required, unless the preset
	// has it. Accepts {env.*} and {file.*}.
	WidgetURL string `json:"widget_url,omitempty"`

	// WidgetGlobal is the JavaScript object that the script defines. Default: the
	// preset's.
	WidgetGlobal string `json:"widget_global,omitempty"`

	// PublicTokenURL is asked for a returning user's public token that is not kept.
	// Default: the preset's, or none. Accepts {env.*} and {file.*}.
	PublicTokenURL string `json:"public_token_url,omitempty"`

	// VerifyURL answers a GET with a new access token with whose it is. Required
	// for `binding verify`. Accepts {env.*} and {file.*}.
	VerifyURL string `json:"verify_url,omitempty"`

	// ProbePath is a path of the API that every access token may read. It is read
	// to tell a revoked token from a route that is not open to it. Default:
	// VerifyURL, if there is one.
	ProbePath string `json:"probe_path,omitempty"`

	// Names are the words of the wire. Default: the preset's.
	Names *ConnectNames `json:"names,omitempty"`

	// RedeemFields are the fields of the widget's result that are sent along with the
	// one-time token. Default: none; human_connect_v1: the account.
	RedeemFields []string `json:"redeem,omitempty"`

	// Body is the form of the exchange's body, `json` or `form`. Default: `json`.
	Body string `json:"body,omitempty"`

	// TokenIn is where data calls carry the access token. Default: a bearer in the
	// header Authorization.
	TokenIn *ConnectTokenPlace `json:"token_in,omitempty"`

	// Binding ties the platform's reply to the user who is signed in: `echo`,
	// `verify` or `none`. Default: `echo`.
	Binding string `json:"binding,omitempty"`

	// ClientUserID is the placeholder of the session's value by which the platform
	// knows a user: one that only an authenticator sets. Default: a random
	// identifier is made for each.
	ClientUserID string `json:"client_user_id,omitempty"`

	// HTTP are the settings of connections to the platform. Default: direct
	// connections.
	HTTP *HTTP `json:"http,omitempty"`

	*connect.Provider `json:"-"`
}

// ConnectNames are the words of the wire of a Connect platform. Each has a default
// in the preset.
type ConnectNames struct {
	// Token is the one-time token, in the widget's result and in the exchange.
	Token string `json:"token,omitempty"`

	// Account is the user's identifier at the platform, in the reply.
	Account string `json:"account,omitempty"`

	// Access is the access token, in the reply.
	Access string `json:"access,omitempty"`

	// User is the identifier that the widget was opened with, in the reply.
	User string `json:"user,omitempty"`

	// Client is the application, in the exchange and in the reply.
	Client string `json:"client,omitempty"`

	// Secret is the client secret, in the exchange.
	Secret string `json:"secret,omitempty"`

	// Public is the token by which the widget knows a returning user, in the reply.
	Public string `json:"public,omitempty"`
}

// ConnectTokenPlace is where data calls to a Connect platform carry the access token.
type ConnectTokenPlace struct {
	// In is `bearer`, `query` or `header`.
	In string `json:"in"`

	// Name is the query parameter's or the header's; empty for a bearer.
	Name string `json:"name,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (ConnectPlatform) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "delegate.providers.connect",
		New: func() caddy.Module { return new(ConnectPlatform) },
	}
}

// Provision expands the settings and has package connect check them. It touches no
// network; of files it reads secrets and certificates.
func (p *ConnectPlatform) Provision(caddy.Context) error {
	repl := caddy.NewReplacer()
	config := p.config()
	err := expandNamed(repl,
		namedSetting{"client_id", p.ClientID, &config.ClientID},
		namedSetting{"exchange_url", p.ExchangeURL, &config.ExchangeURL},
		namedSetting{"api_url", p.APIURL, &config.APIURL},
		namedSetting{"widget_url", p.WidgetURL, &config.WidgetURL},
		namedSetting{"public_token_url", p.PublicTokenURL, &config.PublicTokenURL},
		namedSetting{"verify_url", p.VerifyURL, &config.VerifyURL},
	)
	if err != nil {
		return err
	}
	if p.ClientUserID != "" {
		if err := checkPlaceholder(p.ClientUserID); err != nil {
			return fmt.Errorf("client_user_id: %w", err)
		}
	}
	config.LoadSecret = func() (delegation.Secret, error) { return loadSecret("client_secret", p.ClientSecret) }
	if config.ClientSecret, err = config.LoadSecret(); err != nil {
		return err
	}
	if config.HTTP, err = p.HTTP.settings(repl); err != nil {
		return err
	}
	p.Provider, err = connect.New(config)
	return err
}

// config returns the settings as package connect has them. Placeholders are not
// expanded.
func (p *ConnectPlatform) config() connect.Config {
	config := connect.Config{
		Preset: p.Preset, ClientID: p.ClientID, ClientSecret: delegation.NewSecret(p.ClientSecret),
		ExchangeURL: p.ExchangeURL, APIURL: p.APIURL, WidgetURL: p.WidgetURL, WidgetGlobal: p.WidgetGlobal,
		PublicTokenURL: p.PublicTokenURL, VerifyURL: p.VerifyURL, ProbePath: p.ProbePath,
		Redeem: p.RedeemFields, Body: p.Body, Binding: connect.Binding(p.Binding), ClientUserID: p.ClientUserID,
	}
	if p.Names != nil {
		config.Names = connect.Names(*p.Names)
	}
	if p.TokenIn != nil {
		config.TokenIn = connect.TokenPlace(*p.TokenIn)
	}
	return config
}

// Cleanup closes idle connections to the platform.
func (p *ConnectPlatform) Cleanup() error {
	if p.Provider == nil {
		return nil
	}
	return p.Provider.Close()
}

// Interface guards
var (
	_ caddy.Provisioner                = (*ConnectPlatform)(nil)
	_ caddy.CleanerUpper               = (*ConnectPlatform)(nil)
	_ delegation.Provider              = (*ConnectPlatform)(nil)
	_ delegation.ConsentStarter        = (*ConnectPlatform)(nil)
	_ delegation.Redeemer              = (*ConnectPlatform)(nil)
	_ delegation.GrantDecoder          = (*ConnectPlatform)(nil)
	_ delegation.ConsentProber         = (*ConnectPlatform)(nil)
	_ delegation.UnauthorizedDiagnoser = (*ConnectPlatform)(nil)
	_ delegation.Checker               = (*ConnectPlatform)(nil)
)
