// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	httpcaddyfile.RegisterDirective("delegate_proxy", parseProxy)
}

// parseProxy reads the shortcut that most operators write:
//
//	delegate_proxy [<matcher>] <provider> {
//	    # any subdirective of delegate
//	    # any subdirective of reverse_proxy but those of forbiddenReason
//	    transport http {
//	        # any option of the http transport but those the delegate transport refuses
//	    }
//	}
//
// It is the same as:
//
//	delegate [<matcher>] <provider> {
//	    # its subdirectives
//	}
//	reverse_proxy [<matcher>] {
//	    # its subdirectives
//	    dynamic delegate
//	    transport delegate
//	}
func parseProxy(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // directive name
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	d := h.Dispenser
	d.Next() // directive name, again: extracting the matcher went back to before it
	rest := []caddyfile.Token{d.Token()}

	var handler Handler
	if err := handler.parseProviderName(d, optionProviders(h)); err != nil {
		return nil, err
	}
	if d.NextArg() {
		return nil, d.Errf("delegate_proxy takes one provider and no upstream, not %q as well: the address comes from the provider's base_url", d.Val())
	}

	transport := &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)}
	seenTransport := false
	for d.NextBlock(0) {
		word := d.Val()
		if ok, err := handler.parse(d); err != nil {
			return nil, err
		} else if ok {
			continue
		}
		if reason := forbiddenReason(word); reason != "" {
			return nil, d.Errf("%s is not allowed in delegate_proxy: %s", word, reason)
		}
		if word == "transport" {
			if seenTransport {
				return nil, d.Err("transport is set already")
			}
			seenTransport = true
			if !d.NextArg() || d.Val() != "http" {
				return nil, d.Err("delegate_proxy has a transport of its own: write `transport http { … }` to set its options")
			}
			if d.CountRemainingArgs() > 0 {
				return nil, d.ArgErr()
			}
			if err := transport.UnmarshalCaddyfile(d.NewFromNextSegment()); err != nil {
				return nil, err
			}
			continue
		}
		rest = append(rest, d.NextSegment()...)
	}
	if err := handler.checkAllow(h); err != nil {
		return nil, err
	}
	if err := handler.checkCaddyfile(d); err != nil {
		return nil, err
	}

	proxy, err := parseReverseProxy(h, rest)
	if err != nil {
		return nil, err
	}
	proxy.ProxyStatusName = optionApp(h).ProxyStatusName // both halves answer
	proxy.DynamicUpstreamsRaw = caddyconfig.JSONModuleObject(Upstream{}, "source", "delegate", nil)
	proxy.TransportRaw = caddyconfig.JSONModuleObject(transport, "protocol", "delegate", nil)

	route := caddyhttp.Route{HandlersRaw: []json.RawMessage{
		caddyconfig.JSONModuleObject(handler, "handler", "delegate", nil),
		caddyconfig.JSONModuleObject(proxy, "handler", "reverse_proxy", nil),
	}}
	if matcher != nil {
		route.MatcherSetsRaw = []caddy.ModuleMap{matcher}
	}
	return []httpcaddyfile.ConfigValue{{Class: "route", Value: route}}, nil
}

// forbiddenReason returns why a subdirective of reverse_proxy is not allowed in
// delegate_proxy; empty if it is allowed. Each would undo the policy, or let one
// person take the platform away from everybody.
func forbiddenReason(word string) string {
	switch {
	case word == "to" || word == "dynamic":
		return "the address comes from the provider's base_url"
	case word == "method" || word == "rewrite":
		return "it would change the request after the policy has judged it"
	case strings.HasPrefix(word, "unhealthy_"):
		return "one person's answers or slow uploads would take the platform away from everybody; use max_fails, which counts network failures"
	case strings.HasPrefix(word, "health_"):
		return "a health check has no signed-in user; use max_fails, which counts network failures"
	default:
		return ""
	}
}

// parseReverseProxy gives the remaining words to reverse_proxy's own parser.
// Tokens keep their file and line, so its errors name the right place.
func parseReverseProxy(h httpcaddyfile.Helper, tokens []caddyfile.Token) (*reverseproxy.Handler, error) {
	if len(tokens) > 1 {
		open, closing := tokens[0], tokens[0]
		open.Text, closing.Text = "{", "}"
		last := tokens[len(tokens)-1]
		closing.Line = last.Line + last.NumLineBreaks() + 1
		tokens = append(append([]caddyfile.Token{tokens[0], open}, tokens[1:]...), closing)
	}
	proxy := new(reverseproxy.Handler)
	if err := proxy.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
		return nil, err
	}
	return proxy, proxy.FinalizeUnmarshalCaddyfile(h)
}
