// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
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
//	    callback          <segment>
//	    callback_from     <ranges...>
//	    cross_device      [<duration>]
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
	then, crossDevice := *d, *d // their lines, for errors
	for d.NextBlock(0) {
		switch d.Val() {
		case "then":
			then = *d
		case "cross_device":
			crossDevice = *d
		}
		if err := c.parseLine(d); err != nil {
			return nil, err
		}
	}
	if err := c.checkThen(optionOrigins(h)); err != nil {
		return nil, then.Errf("then %q: %w", c.Then, err)
	}
	if err := c.checkCrossDeviceOption(optionApp(h)); err != nil {
		return nil, crossDevice.WrapErr(err)
	}
	if c.URL == "" {
		return nil, d.Err("url is missing: the address of this directive as browsers know it, such as https://app.example.org/connect/" + c.Provider)
	}
	return &c, c.checkCaddyfile(d)
}

// checkThen checks `then` as far as that is possible while there are a file and a
// line to name. An address of this directive with a placeholder is known only when
// it is provisioned.
func (c *Connect) checkThen(trusted []string) error {
	if c.Then == "" {
		return nil
	}
	page, err := policy.ParseRedirect(c.Then, connectParameter)
	if err != nil || strings.Contains(c.URL, "{") {
		return err
	}
	origins, err := policy.NewOrigins(trusted)
	if err != nil {
		return err
	}
	own, err := delegation.ParseBaseURL("url", "", c.URL)
	if err != nil {
		own = nil // url is refused by itself
	}
	return page.CheckOrigin(own, origins)
}

// parseLine reads one subdirective.
func (c *Connect) parseLine(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "url":
		return parseOnce(d, &c.URL)
	case "then":
		return parseOnce(d, &c.Then)
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
	default:
		ok, err := c.parseCommon(d)
		if err == nil && !ok {
			return d.Errf("unrecognized subdirective %q of delegate_connect", d.Val())
		}
		return err
	}
}
