// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// CheckComplete reports the first required setting that is empty, and what
// [Config.CheckValues] does. A Caddyfile's settings are checked by both while they
// may still hold placeholders, so that the error has file and line; [New] does so as
// well. The error begins with the setting's name in the Caddyfile.
func (c *Config) CheckComplete() error {
	if err := c.CheckValues(); err != nil {
		return err
	}
	withDefaults := *c // they are checked here, and kept by validate alone
	c = &withDefaults
	c.applyPreset()
	switch {
	case c.ClientID == "":
		return errors.New("client_id is missing: the application's, from the platform's console")
	case c.ClientSecret.Reveal() == "":
		return errors.New("client_secret is missing: the application's, from the platform's console, by {file.…} or {env.…}")
	case c.ExchangeURL == "":
		return errors.New("exchange_url is missing: where the platform exchanges the widget's token, such as https://platform.example/v1/connect/tokens")
	case c.APIURL == "":
		return errors.New("api_url is missing: where data calls go, such as https://api.platform.example")
	case c.WidgetURL == "":
		return errors.New("widget_url is missing: the platform's script for the page, such as https://connect.platform.example/connect.js")
	}
	if c.Binding == BindingVerify && c.VerifyURL == "" {
		return errors.New("binding verify needs verify_url: the address that answers to whom an access token belongs")
	}
	return nil
}

// CheckValues reports a setting whose value is none of its words, and settings that
// contradict each other, whatever is still missing.
func (c *Config) CheckValues() error {
	if c.Preset != "" {
		if err := oneOf("preset", c.Preset, DeveloperConsole, HumanConnectV1); err != nil {
			return err
		}
	}
	withDefaults := *c
	c = &withDefaults
	c.applyPreset()
	if err := oneOf("body", c.Body, BodyJSON, BodyForm); err != nil {
		return err
	}
	if err := oneOf("binding", string(c.Binding), string(BindingEcho), string(BindingVerify), string(BindingNone)); err != nil {
		return err
	}
	if !globalRE.MatchString(c.WidgetGlobal) {
		return fmt.Errorf("widget_global %q is no name of a JavaScript object: write it like HumanConnect", c.WidgetGlobal)
	}
	if err := c.TokenIn.check(); err != nil {
		return err
	}
	return c.Names.check(c.Redeem)
}

var globalRE = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,63}(\.[A-Za-z_$][A-Za-z0-9_$]{0,63}){0,3}$`)

// connectionHeaders are those that are about the connection or the browser, and so
// do not hold a credential of an API.
const connectionHeaders = " connection content-length content-type cookie expect host keep-alive proxy-authorization te trailer transfer-encoding upgrade "

// check refuses a place that cannot hold the token.
func (p *TokenPlace) check() error {
	if err := oneOf("token_in", p.In, TokenInBearer, TokenInQuery, TokenInHeader); err != nil {
		return err
	}
	switch {
	case p.In == TokenInBearer && p.Name != "":
		return fmt.Errorf("token_in bearer takes no name: remove %q", p.Name)
	case p.In == TokenInBearer:
		return nil
	case p.Name == "":
		return fmt.Errorf("token_in %s needs a name, such as token_in %s access_token", p.In, p.In)
	case p.In == TokenInQuery:
		return checkField("token_in query", p.Name)
	case !httpguts.ValidHeaderFieldName(p.Name) || strings.Contains(connectionHeaders, " "+strings.ToLower(p.Name)+" "):
		return fmt.Errorf("token_in header: %q cannot hold a token: name the header that the platform's documentation names", p.Name)
	case strings.EqualFold(p.Name, "Authorization"):
		return errors.New("token_in header: write token_in bearer for the header Authorization")
	}
	return nil
}
