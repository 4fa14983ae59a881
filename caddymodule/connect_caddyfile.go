// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

// parseConnect reads:
//
//	delegate_connect [<matcher>] <provider> {
//	    url               <url>
//	    then              <path or URL>
//	    then_native       <URLs...>
//	    callback          <segment>
//	    callback_from     <ranges...>
//	    cross_device      [<duration>]
//	    page              [<operator>]
//	    sign_in           <path or URL>
//	    user              <placeholder>
//	    subject           <placeholder>
//	    realm             <name>
//	}
func parseConnect(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var c Connect
	d := h.Dispenser
	d.Next() // directive name
	if err := c.parseProviderName(d, optionProviders(h)); err != nil {
		return nil, err
	}
	if d.NextArg() {
		return nil, d.Errf("delegate_connect takes one provider, not %q as well", d.Val())
	}
	then, thenNative, crossDevice, signIn, page := *d, *d, *d, *d, *d // their lines, for errors
	for d.NextBlock(0) {
		switch d.Val() {
		case "then":
			then = *d
		case "then_native":
			thenNative = *d
		case "cross_device":
			crossDevice = *d
		case "sign_in":
			signIn, page = *d, *d
		case "page", "user":
			page = *d
		}
		if err := c.parseLine(d); err != nil {
			return nil, err
		}
	}
	if err := c.checkPage("then", c.Then, optionOrigins(h), connectParameter); err != nil {
		return nil, then.WrapErr(err)
	}
	if err := c.checkPage("sign_in", c.SignIn, optionOrigins(h)); err != nil {
		return nil, signIn.WrapErr(err)
	}
	if err := c.checkCrossDeviceOption(optionApp(h)); err != nil {
		return nil, crossDevice.WrapErr(err)
	}
	if err := c.checkAppOption(optionApp(h)); err != nil {
		return nil, thenNative.WrapErr(err)
	}
	if err := c.checkPageOption(optionApp(h)); err != nil {
		return nil, page.WrapErr(err)
	}
	if c.URL == "" {
		return nil, d.Err("url is missing: the address of this directive as browsers know it, such as https://app.example.org/connect/" + c.Provider)
	}
	return &c, c.checkCaddyfile(d)
}

// checkPage checks the address of one of the app's pages as far as that is possible
// while there are a file and a line to name. An address of this directive with a
// placeholder is known only when it is provisioned.
func (c *Connect) checkPage(word, address string, trusted []string, parameters ...string) error {
	if address == "" {
		return nil
	}
	page, err := policy.ParseRedirect(address, parameters...)
	if err == nil && !strings.Contains(c.URL, "{") {
		var origins *policy.Origins
		if origins, err = policy.NewOrigins(trusted); err != nil {
			return err
		}
		own, parseErr := delegation.ParseBaseURL("url", "", c.URL)
		if parseErr != nil {
			own = nil // url is refused by itself
		}
		err = page.CheckOrigin(own, origins)
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", word, address, err)
	}
	return nil
}

// parseLine reads one subdirective.
func (c *Connect) parseLine(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "url":
		return parseOnce(d, &c.URL)
	case "then":
		return parseOnce(d, &c.Then)
	case "then_native":
		return c.parseThenNative(d)
	case "callback":
		return parseOnce(d, &c.Callback)
	case "callback_from":
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.Err("callback_from needs ranges of addresses")
		}
		c.CallbackFrom = append(c.CallbackFrom, args...)
		if _, err := parseRanges(args); err != nil {
			return d.WrapErr(err)
		}
		return nil
	case "cross_device":
		return parseCrossDevice(d, &c.CrossDevice)
	case "page":
		return c.parsePage(d)
	case "sign_in":
		return parseOnce(d, &c.SignIn)
	case "user":
		if err := parseOnce(d, &c.User); err != nil {
			return err
		}
		if err := checkPlaceholder(c.User); err != nil {
			return d.Errf("user: %w", err)
		}
		return nil
	default:
		ok, err := c.parseCommon(d)
		if err == nil && !ok {
			return d.Errf("unrecognized subdirective %q of delegate_connect", d.Val())
		}
		return err
	}
}
