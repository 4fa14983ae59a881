// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"reflect"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/sources"
)

// parseRefused parses the word api_refused.
func (s *Source) parseRefused(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if s.APIRefused != nil || len(args) < 2 {
		return d.Err("api_refused takes a member and its values in an answer that does not accept the token, and stands once")
	}
	s.APIRefused = &SourceRefused{Member: args[0], Values: args[1:]}
	return nil
}

// parseReply reads the block reply.
func (s *Source) parseReply(d *caddyfile.Dispenser) error {
	if s.Reply != nil {
		return d.Err("reply is set already")
	}
	if d.NextArg() {
		return d.Err("reply takes a block, not a value")
	}
	r := new(SourceReply)
	words := map[string]*string{
		"root": &r.Root, "access": &r.Access, "refresh": &r.Refresh, "scope": &r.Scope,
		"expires_at": &r.ExpiresAt, "expires_claim": &r.ExpiresClaim,
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		switch to, ok := words[word]; {
		case word == "ok":
			args := d.RemainingArgs()
			if r.OK != "" || len(args) != 2 {
				return d.Err("ok takes a member and its value in an answer that succeeded, and stands once")
			}
			r.OK, r.OKValue = args[0], args[1]
		case word == "refused":
			args := d.RemainingArgs()
			if r.RefusedAt != "" || len(args) < 2 {
				return d.Err("refused takes a member and its values in an answer that does not accept the code or refresh token, and stands once")
			}
			r.RefusedAt, r.Refused = args[0], args[1:]
		case word == "expires_in":
			if err := r.parseExpiresIn(d); err != nil {
				return err
			}
		case !ok:
			return d.Errf("unrecognized subdirective %q of reply: expected root, ok, refused, access, refresh, scope, expires_in, expires_at or expires_claim", word)
		default:
			if err := parseOnce(d, to); err != nil {
				return err
			}
		}
	}
	if reflect.ValueOf(r).Elem().IsZero() {
		return d.Err("reply is empty: say where something is, or remove the block")
	}
	s.Reply = r
	return nil
}

// parseExpiresIn reads `expires_in <member> [<unit>]`.
func (r *SourceReply) parseExpiresIn(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if r.ExpiresIn != "" || len(args) == 0 || len(args) > 2 {
		return d.Err("expires_in takes a member, and the unit if it is not 1s; it stands once")
	}
	r.ExpiresIn = args[0]
	if len(args) == 2 {
		unit, err := caddy.ParseDuration(args[1])
		if err != nil || unit <= 0 {
			return d.Errf("expires_in: %q is no unit such as 1s or 1ms", args[1])
		}
		r.ExpiresUnit = caddy.Duration(unit)
	}
	return nil
}

// parseLookup reads `none`, `get <url> <path>` or a place and a path. The word may
// stand again: what is found first counts.
func parseLookup(d *caddyfile.Dispenser, to *[]SourceLookup) error {
	word, args := d.Val(), d.RemainingArgs()
	var l SourceLookup
	switch {
	case len(args) == 1 && args[0] == "none":
		l = SourceLookup{In: "none"}
	case len(args) == 3 && args[0] == string(sources.InAnswer):
		l = SourceLookup{In: args[0], URL: args[1], Path: args[2]}
	case len(args) == 2 && (args[0] == string(sources.InReply) || args[0] == string(sources.InRedirect) ||
		args[0] == string(sources.InIDToken) || args[0] == string(sources.InAccess)):
		l = SourceLookup{In: args[0], Path: args[1]}
	default:
		return d.Errf("%s takes `none`, `get <url> <path>`, or reply, redirect, id_token or access_token with a path", word)
	}
	if len(*to) > 0 && (l.In == "none" || (*to)[0].In == "none") {
		return d.Errf("%s none stands alone", word)
	}
	*to = append(*to, l)
	return nil
}

// parseCall reads `none`, or a method and an address with a block.
func parseCall(d *caddyfile.Dispenser, to **SourceCall) error {
	word, args := d.Val(), d.RemainingArgs()
	c, block := new(SourceCall), false
	for nesting := d.Nesting(); d.NextBlock(nesting); block = true {
		var err error
		switch setting := d.Val(); setting {
		case "auth":
			err = parseOnce(d, &c.Auth)
		case "nonce_url":
			err = parseOnce(d, &c.NonceURL)
		case "json":
			err = parseOnce(d, &c.JSON)
		case "form":
			err = parsePair(d, &c.Form)
		case "ok":
			err = c.parseOK(d)
		default:
			return d.Errf("unrecognized subdirective %q of %s: expected auth, nonce_url, form, json or ok", setting, word)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case *to != nil:
		return d.Errf("%s is set already", word)
	case len(args) == 1 && args[0] == "none" && !block:
		*to = &SourceCall{Method: "none"}
		return nil
	case len(args) != 2:
		return d.Errf("%s takes `none`, or a method and an address, such as DELETE /v1/me", word)
	}
	c.Method, c.URL = args[0], args[1]
	if err := c.call().Check(word); err != nil {
		return d.WrapErr(err)
	}
	*to = c
	return nil
}

// parseOK reads the statuses that count as done.
func (c *SourceCall) parseOK(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(c.OK) > 0 || len(args) == 0 {
		return d.Err("ok takes statuses, such as 200 409, and stands once")
	}
	for _, arg := range args {
		status, err := strconv.Atoi(arg)
		if err != nil {
			return d.Errf("ok: %q is no status", arg)
		}
		c.OK = append(c.OK, status)
	}
	return nil
}
