// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	"go.uber.org/zap"
)

// warnConnectPlaces warns of each delegate_connect whose url is another address than the
// one that it stands at. It runs when all handlers are provisioned.
func (a *App) warnConnectPlaces() {
	if a.httpApp == nil {
		return
	}
	for _, server := range a.httpApp.Servers {
		walkConnectPlaces(server.Routes, connectPlace{}, func(c *Connect, place connectPlace) {
			if mismatch := place.mismatch(c.baseURL); mismatch != "" {
				a.logger.Warn("the url of a delegate_connect is not where it stands", zap.String("provider", c.Provider), zap.String("url", c.baseURL.String()), zap.String("mismatch", mismatch))
			}
		})
	}
}

// walkConnectPlaces calls found with each delegate_connect of the routes, and returns the
// place behind them, as far as the path was changed for all.
func walkConnectPlaces(routes caddyhttp.RouteList, at connectPlace, found func(*Connect, connectPlace)) connectPlace {
	for _, route := range routes {
		in := at
		in.match(route.MatcherSets)
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *Connect:
				found(h, in)
			case *caddyhttp.Subroute:
				in = walkConnectPlaces(h.Routes, in, found)
			case *logGuard:
				walkConnectPlaces(h.routes, in, found)
			case *rewrite.Rewrite:
				in.strip(h.StripPathPrefix, h.URI != "" || h.StripPathSuffix != "" || len(h.URISubstring)+len(h.PathRegexp) > 0)
			}
		}
		if !route.Terminal && route.Group == "" {
			at.prefix, at.unknown = in.prefix, in.unknown
		}
	}
	return at
}

// match notes what a route's matchers say of host and path.
func (p *connectPlace) match(sets caddyhttp.MatcherSets) {
	var hosts, paths []string
	for _, set := range sets {
		before := len(hosts)
		for _, m := range set {
			switch m := m.(type) {
			case *caddyhttp.MatchHost:
				hosts = append(hosts, *m...)
			case *caddyhttp.MatchPath:
				paths = append(paths, *m...)
			}
		}
		if len(hosts) == before {
			hosts = nil
			break
		}
	}
	if len(hosts) > 0 {
		p.hosts = hosts
	}
	if len(sets) == 1 && len(paths) == 1 {
		p.under = paths[0]
	}
}
