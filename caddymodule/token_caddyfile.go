// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("delegate_token", parseToken)
}

// parseToken reads:
//
//	delegate_token [<matcher>] <provider> {
//	    scopes            <scopes...>
//	    proxy             <path>
//	    session_expires   <placeholder>
//	    subject           <placeholder>
//	    realm             <name>
//	}
func parseToken(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	var handler TokenHandler
	d := h.Dispenser
	d.Next() // directive name
	if err := handler.parseProviderName(d, optionProviders(h)); err != nil {
		return nil, err
	}
	if d.NextArg() {
		return nil, d.Errf("delegate_token takes one provider, not %q as well", d.Val())
	}
	for d.NextBlock(0) {
		var err error
		ok := true
		switch d.Val() {
		case "scopes":
			args := d.RemainingArgs()
			if len(args) == 0 {
				return nil, d.Err("scopes needs at least one scope")
			}
			handler.Scopes = append(handler.Scopes, args...)
		case "proxy":
			if err = parseOnce(d, &handler.Proxy); err == nil && checkProxyURL(handler.Proxy) != nil {
				err = d.WrapErr(checkProxyURL(handler.Proxy))
			}
		case "session_expires":
			if err = parseOnce(d, &handler.SessionExpires); err == nil && checkPlaceholder(handler.SessionExpires) != nil {
				err = d.Errf("session_expires: %v", checkPlaceholder(handler.SessionExpires))
			}
		default:
			ok, err = handler.parseCommon(d)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, d.Errf("unrecognized subdirective %q of delegate_token", d.Val())
		}
	}
	return &handler, handler.checkCaddyfile(d)
}
