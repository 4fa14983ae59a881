// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/connect"
)

// UnmarshalCaddyfile reads:
//
//	provider <name> [connect] {
//	    preset           developer_console|human_connect_v1
//	    client_id        <id>
//	    client_secret    <secret>
//	    exchange_url     <url>
//	    api_url          <url>
//	    widget_url       <url>
//	    widget_global    <object>
//	    public_token_url <url>
//	    verify_url       <url>
//	    probe_path       <path>
//	    names {
//	        token   <field>
//	        account <field>
//	        access  <field>
//	        user    <field>
//	        client  <field>
//	        secret  <field>
//	        public  <field>
//	    }
//	    redeem           <fields...>
//	    body             json|form
//	    token_in         bearer | query <name> | header <name>
//	    binding          echo|verify|none
//	    client_user_id   <placeholder>
//	    http {
//	        proxy   <url>
//	        ca_file <file>
//	        timeout <duration>
//	    }
//	}
func (p *ConnectPlatform) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // name or kind
	words := map[string]*string{
		"preset": &p.Preset, "client_id": &p.ClientID, "client_secret": &p.ClientSecret,
		"exchange_url": &p.ExchangeURL, "api_url": &p.APIURL, "widget_url": &p.WidgetURL, "widget_global": &p.WidgetGlobal,
		"public_token_url": &p.PublicTokenURL, "verify_url": &p.VerifyURL, "probe_path": &p.ProbePath,
		"body": &p.Body, "binding": &p.Binding,
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "names":
			err = p.parseNames(d)
		case "redeem":
			err = parseList(d, &p.RedeemFields)
		case "token_in":
			err = p.parseTokenIn(d)
		case "client_user_id":
			err = p.parseClientUserID(d)
		case "http":
			err = parseHTTP(d, &p.HTTP)
		case "scopes":
			return d.Err("scopes: a user of a Connect platform has one access token, for all routes: remove the line, and name the routes by allow")
		default:
			to, ok := words[word]
			if !ok {
				return d.Errf("unrecognized subdirective %q of provider connect", word)
			}
			err = parseOnce(d, to)
		}
		if err == nil {
			err = p.checkValues(d)
		}
		if err != nil {
			return err
		}
	}
	config := p.config()
	if err := config.CheckComplete(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseClientUserID reads the argument of client_user_id.
func (p *ConnectPlatform) parseClientUserID(d *caddyfile.Dispenser) error {
	if err := parseOnce(d, &p.ClientUserID); err != nil {
		return err
	}
	// Caddy expands shorthands such as {rp.header.X} in site blocks only.
	segment := caddyfile.Segment{d.Token()}
	httpcaddyfile.NewShorthandReplacer().ApplyToSegment(&segment)
	p.ClientUserID = segment[0].Text
	if err := checkPlaceholder(p.ClientUserID); err != nil {
		return d.Errf("client_user_id: %v", err)
	}
	return nil
}

// checkValues checks what has been read so far, so that an error names the line that
// it is about.
func (p *ConnectPlatform) checkValues(d *caddyfile.Dispenser) error {
	config := p.config()
	if err := config.CheckValues(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseNames reads the block names.
func (p *ConnectPlatform) parseNames(d *caddyfile.Dispenser) error {
	if p.Names != nil {
		return d.Err("names is set already")
	}
	if d.NextArg() {
		return d.Err("names takes a block, not a value")
	}
	var names connect.Names
	words, any := names.ByName(), false
	for nesting := d.Nesting(); d.NextBlock(nesting); any = true {
		to, ok := words[d.Val()]
		if !ok {
			return d.Errf("unrecognized subdirective %q of names: expected token, account, access, user, client, secret or public", d.Val())
		}
		if err := parseOnce(d, to); err != nil {
			return err
		}
	}
	if !any {
		return d.Err("names is empty: name a field by token, account, access, user, client, secret or public, or remove the block")
	}
	p.Names = (*ConnectNames)(&names)
	return nil
}

// parseTokenIn reads the arguments of token_in.
func (p *ConnectPlatform) parseTokenIn(d *caddyfile.Dispenser) error {
	if p.TokenIn != nil {
		return d.Err("token_in is set already")
	}
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.Err("token_in takes bearer, query <name> or header <name>")
	}
	p.TokenIn = &ConnectTokenPlace{In: args[0]}
	if len(args) == 2 {
		p.TokenIn.Name = args[1]
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*ConnectPlatform)(nil)
