// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Binding is how an account that the platform answers is tied to the person who is
// signed in.
type Binding string

// The bindings.
const (
	// BindingEcho is the binding by the exchange's own reply, which names our
	// client and the person's identifier.
	BindingEcho Binding = "echo"
	// BindingVerify is the binding by a second call, with the new access token.
	BindingVerify Binding = "verify"
	// BindingNone is no binding: whoever has a one-time token connects with it.
	BindingNone Binding = "none"
)

// The forms of the exchange's body.
const (
	BodyJSON = "json"
	BodyForm = "form"
)

// The places of the access token in a data call.
const (
	TokenInBearer = "bearer"
	TokenInQuery  = "query"
	TokenInHeader = "header"
)

// TokenPlace is where data calls carry the access token.
type TokenPlace struct {
	// In is [TokenInBearer], [TokenInQuery] or [TokenInHeader]. Default:
	// [TokenInBearer].
	In string
	// Name is the query parameter's or header's; empty for a bearer.
	Name string
}

// Config is an application at a Connect platform. Its values are plain:
// placeholders are expanded already, but in ClientUserID.
type Config struct {
	// Preset is a key of [presets]. Default: [DeveloperConsole].
	Preset string
	// ClientID and ClientSecret are the application's.
	ClientID     string
	ClientSecret delegation.Secret
	// LoadSecret reads the secret again, before each exchange. Nil: it does not
	// change.
	LoadSecret func() (delegation.Secret, error)

	// ExchangeURL is where one-time tokens are exchanged, APIURL the base of data
	// calls, and WidgetURL the script that the page loads. Default: the preset's.
	ExchangeURL, APIURL, WidgetURL string
	// WidgetGlobal is the object by which the script is called. Default: the
	// preset's.
	WidgetGlobal string
	// PublicTokenURL is where a returning person's public token is asked for if it
	// is not kept. Default: the preset's, which may be none.
	PublicTokenURL string
	// VerifyURL answers to whom a new access token belongs. Required for
	// [BindingVerify].
	VerifyURL string
	// ProbePath is a path below APIURL that every access token may read. Default:
	// VerifyURL is asked, if there is one.
	ProbePath string

	// Names are the words of the wire. Empty ones: the preset's.
	Names Names
	// Redeem are the fields of the widget's result that the exchange takes besides
	// the one-time token. Nil: the preset's.
	Redeem []string
	// Body is [BodyJSON] or [BodyForm]. Default: [BodyJSON].
	Body string
	// TokenIn is where data calls carry the access token.
	TokenIn TokenPlace
	// Binding ties accounts to people. Default: [BindingEcho].
	Binding Binding
	// ClientUserID is the placeholder of the session's value by which the platform
	// knows a person. Empty: a random identifier is made for each.
	ClientUserID string
	// HTTP are the settings of connections to the platform; may be nil.
	HTTP *delegation.HTTP
}

// fingerprint is a hash over every setting.
func (c *Config) fingerprint() string {
	names := c.Names.all()
	return delegation.Fingerprint(
		[]string{
			"connect", c.Preset, c.ClientID, c.ClientSecret.Fingerprint("connect"), c.ExchangeURL, c.APIURL, c.WidgetURL, c.WidgetGlobal,
			c.PublicTokenURL, c.VerifyURL, c.ProbePath, c.Body, c.TokenIn.In, c.TokenIn.Name, string(c.Binding), c.ClientUserID,
		},
		names[:], c.Redeem, c.HTTP.FingerprintParts(),
	)
}

// applyPreset sets what is empty to the preset's values, and the defaults.
func (c *Config) applyPreset() {
	if c.Preset == "" {
		c.Preset = DeveloperConsole
	}
	p := presets[c.Preset]
	for to, value := range map[*string]string{
		&c.ExchangeURL: p.ExchangeURL, &c.APIURL: p.APIURL, &c.WidgetURL: p.WidgetURL, &c.WidgetGlobal: p.WidgetGlobal,
		&c.PublicTokenURL: p.PublicTokenURL, &c.Body: BodyJSON, &c.TokenIn.In: TokenInBearer,
	} {
		if *to == "" {
			*to = value
		}
	}
	c.Names.applyDefaults(p.Names)
	if c.Redeem == nil && p.redeemsAccount {
		c.Redeem = []string{c.Names.Account}
	}
	if c.Binding == "" {
		c.Binding = BindingEcho
	}
}

// validate sets the defaults, and refuses what cannot work or is unsafe. It returns
// the API's address. Every error begins with the setting's name in the Caddyfile.
func (c *Config) validate() (api *url.URL, err error) {
	if err := c.CheckComplete(); err != nil {
		return nil, err
	}
	c.applyPreset()
	for _, setting := range []struct {
		name, example string
		to            *string
	}{
		{"exchange_url", "https://platform.example/v1/connect/tokens", &c.ExchangeURL},
		{"public_token_url", "https://platform.example/v1/connect/publictokens", &c.PublicTokenURL},
		{"verify_url", "https://api.platform.example/v1/me", &c.VerifyURL},
		{"api_url", "https://api.platform.example", &c.APIURL},
	} {
		if *setting.to == "" {
			continue
		}
		if api, err = delegation.ParseBaseURL(setting.name, setting.example, *setting.to); err != nil {
			return nil, err
		}
		*setting.to = api.String()
	}
	if err := checkWidgetURL(c.WidgetURL); err != nil {
		return nil, err
	}
	if err := c.checkProbePath(); err != nil {
		return nil, err
	}
	return api, nil
}

// checkWidgetURL refuses the address of a script that the app's page must not load.
// Unlike the other addresses it may have a query.
func checkWidgetURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Host == "", u.Opaque != "", strings.ContainsAny(address, "\"'<>\\ "):
		return errors.New("widget_url is no address: write it like https://connect.platform.example/connect.js")
	case u.User != nil:
		return errors.New("widget_url holds a user name or password: remove it, every page is told the address")
	case u.Scheme != "https" && (u.Scheme != "http" || !delegation.IsLoopback(u.Hostname())):
		return errors.New("widget_url is not https: whoever is on the way could put their own script into the app's page")
	case u.Fragment != "":
		return errors.New("widget_url holds a fragment: remove everything from the # on")
	}
	return nil
}

// checkProbePath refuses a path that is none.
func (c *Config) checkProbePath() error {
	if c.ProbePath == "" {
		return nil
	}
	u, err := url.Parse(c.ProbePath)
	if err != nil || u.IsAbs() || u.Host != "" || u.Fragment != "" || !strings.HasPrefix(c.ProbePath, "/") || strings.Contains(c.ProbePath, "/../") {
		return errors.New("probe_path is no path below api_url: write it like /v1/human/profile")
	}
	return nil
}

// oneOf is the error of a setting that is none of its words.
func oneOf(setting, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return fmt.Errorf("%s is %s or %s, not %q", setting, strings.Join(words[:len(words)-1], ", "), words[len(words)-1], value)
}
