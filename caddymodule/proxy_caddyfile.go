// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("delegate", parseHandler)
}

// parseHandler reads:
//
//	delegate [<matcher>] <provider> {
//	    subject           <placeholder>
//	    realm             <name>
//	    allow             [<methods>] <pattern> [<scopes...>]
//	    forward_headers   <names...>
//	    forward_response_headers <names...>
//	}
func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var handler Handler
	d := h.Dispenser
	d.Next() // directive name
	if err := handler.parseProviderName(d, optionProviders(h)); err != nil {
		return nil, err
	}
	if d.NextArg() {
		return nil, d.Errf("delegate takes one provider, not %q as well", d.Val())
	}
	for d.NextBlock(0) {
		ok, err := handler.parse(d)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, d.Errf("unrecognized subdirective %q of delegate", d.Val())
		}
	}
	if err := handler.checkAllow(h); err != nil {
		return nil, err
	}
	return &handler, handler.checkCaddyfile(d)
}

// parse reads one subdirective. ok is false if it is none of the handler's.
func (h *Handler) parse(d *caddyfile.Dispenser) (ok bool, err error) {
	if d.Val() == "allow" {
		return true, h.parseAllow(d)
	}
	if ok, err := h.ForwardedHeaders.parse(d); ok {
		return true, err
	}
	return h.parseCommon(d)
}

func (h *Handler) parseAllow(d *caddyfile.Dispenser) error {
	line := *d
	route, err := policy.ParseRoute(d.RemainingArgs())
	if err != nil {
		return d.WrapErr(err)
	}
	if d.NextBlock(d.Nesting()) {
		return d.Err("allow takes no block")
	}
	h.Allow = append(h.Allow, Allow{Methods: route.Methods, Path: route.Pattern, Scopes: route.Scopes})
	h.allowLines = append(h.allowLines, line)
	return nil
}
