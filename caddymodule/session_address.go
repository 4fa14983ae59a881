// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// checkAddress returns an error for an address of keys, or of a server that is asked about
// sessions, unless it is https, http on loopback, or any http with insecure_http. Whoever is
// on the way of http reads sessions, and with another key or answer signs in as anybody.
// Private hosts are the operator's choice. plain is whether it is http off loopback.
func checkAddress(setting, address string, insecure bool) (plain bool, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		// Neither the address nor err, which may hold a password.
		return false, fmt.Errorf("%s: write a URL such as https://login.example.org/jwks.json, without user or fragment", setting)
	}
	plain = u.Scheme == "http" && !delegation.IsLoopback(u.Hostname())
	if plain && !insecure {
		u.RawQuery = "" // which may hold a secret
		return plain, fmt.Errorf("%s: %s: use https; http is for loopback only, or, inside a network where nobody else listens, with the flag insecure_http", setting, u)
	}
	return plain, nil
}

// addressCheck is [checkAddress] with the insecure_http of a directive.
type addressCheck func(setting, address string) error

// addressCheck returns a check that also warns of addresses in clear, of each once.
func (a *App) addressCheck(logger *zap.Logger, insecure bool) addressCheck {
	return func(setting, address string) error {
		plain, err := checkAddress(setting, address, insecure)
		if err != nil || !plain {
			return err
		}
		u, err := url.Parse(address)
		if err != nil {
			return fmt.Errorf("%s is no URL", setting)
		}
		name := setting + " " + delegation.PrintableOrigin(u)
		if slices.Contains(a.cleartextWarned, name) {
			return nil
		}
		a.cleartextWarned = append(a.cleartextWarned, name)
		logger.Warn("insecure_http: this address is asked in clear; whoever is on the way to it can read sessions, or sign in as anybody",
			zap.String("setting", setting), zap.String("address", delegation.PrintableOrigin(u)))
		return nil
	}
}

// checkAddress checks an address of the directive after placeholders are expanded.
func (s *AppSession) checkAddress(setting, address string) error {
	return s.directive.app.addressCheck(s.directive.logger, s.InsecureHTTP)(setting, address)
}

// checkLiteralAddresses checks the addresses of a Caddyfile that have no placeholder, once
// all is read, because insecure_http may be written behind them. The errors name the lines
// of the settings.
func (s *AppSession) checkLiteralAddresses() error {
	addresses := make(map[string]string)
	if s.JWT != nil {
		addresses["jwks"] = s.JWT.JWKS
	}
	if s.Introspect != nil {
		addresses["introspect"] = s.Introspect.URL
	}
	if s.SessionEndpoint != nil {
		addresses["session_endpoint"] = s.SessionEndpoint.URL
	}
	return checkAddressesAt(addresses, s.settingPositions, s.InsecureHTTP)
}

// checkAddressesAt checks addresses by the names of their settings. written is where these
// are in the Caddyfile.
func checkAddressesAt(addresses map[string]string, written map[string]caddyfile.Dispenser, insecure bool) error {
	for setting, address := range addresses {
		if address == "" || strings.Contains(address, "{") {
			continue
		}
		if _, err := checkAddress(setting, address, insecure); err != nil {
			at := written[setting]
			return at.WrapErr(err)
		}
	}
	return nil
}
