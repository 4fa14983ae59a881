// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// routes finds out which app_session can stand before which directive, by
// walking the configuration as a request would.
type routes struct {
	server *caddyhttp.Server
	within []string // named routes, against those that invoke themselves
	before map[*Gate]users
	all    users
}

// users are those who may have named the user when a request comes to a place.
// nil is Caddy's own authentication.
type users map[*AppSession]struct{}

func (u users) and(other users) users {
	both := maps.Clone(u)
	if both == nil {
		both = make(users)
	}
	maps.Copy(both, other)
	return both
}

// resolve reads the names of sessions from the configuration. It runs when all
// handlers are there.
func (a *App) resolve() {
	a.names.once.Do(func() {
		before := make(map[*Gate]users)
		if a.http != nil {
			for _, server := range a.http.Servers {
				w := &routes{server: server, before: before, all: make(users)}
				w.walk(server.Routes, nil)
				if server.Errors != nil {
					w.walk(server.Errors.Routes, w.all)
				}
			}
		}
		for gate, users := range before {
			alias, ok := gate.alias()
			if !ok {
				continue
			}
			agree := users.agree()
			for s := range users {
				switch {
				case agree:
					s.aliases.add(alias)
				case s != nil:
					s.aliases.recall(alias)
				}
			}
		}
	})
}

// agree tells whether a name means the same user whoever of them names it.
func (u users) agree() bool {
	var first *AppSession
	for s := range u {
		switch {
		case s == nil:
			return false
		case first == nil:
			first = s
		case s.aliases != first.aliases && (s.Realm == "" || s.Realm != first.Realm):
			return false
		}
	}
	return true
}

// walk returns who may have named the user behind the routes.
func (w *routes) walk(list caddyhttp.RouteList, in users) users {
	start := make(map[string]users) // of each group only one route runs
	for _, route := range list {
		from := in
		if route.Group != "" {
			if _, ok := start[route.Group]; !ok {
				start[route.Group] = in
			}
			from = start[route.Group]
		}
		out := w.handlers(route.Handlers, from)
		switch {
		case route.Terminal:
		case len(route.MatcherSets) == 0 && route.Group == "":
			in = out
		default:
			in = in.and(out)
		}
	}
	return in
}

func (w *routes) handlers(list []caddyhttp.MiddlewareHandler, in users) users {
	for _, handler := range list {
		switch h := handler.(type) {
		case *AppSession:
			in = w.named(in, h, h.Optional)
		case *caddyauth.Authentication:
			in = w.named(in, nil, false)
		case *caddyhttp.Subroute:
			in = w.subroute(h, in)
		case *callbackGuard:
			in = w.walk(h.routes, in)
		case *caddyhttp.Invoke:
			in = w.invoke(h, in)
		case *intercept.Intercept:
			w.responses(h.HandleResponse, in)
		case *reverseproxy.Handler:
			// forward_auth goes on behind such routes, which name nobody.
			w.responses(h.HandleResponse, in)
		case interface{ asGate() *Gate }:
			w.before[h.asGate()] = w.before[h.asGate()].and(in)
		}
	}
	return in
}

func (w *routes) named(in users, by *AppSession, optional bool) users {
	w.all[by] = struct{}{}
	if optional {
		return in.and(users{by: {}})
	}
	return users{by: {}}
}

func (w *routes) subroute(s *caddyhttp.Subroute, in users) users {
	out := w.walk(s.Routes, in)
	if s.Errors != nil {
		out = out.and(w.walk(s.Errors.Routes, w.all))
	}
	return out
}

func (w *routes) responses(list []caddyhttp.ResponseHandler, in users) {
	for _, response := range list {
		w.walk(response.Routes, in)
	}
}

func (w *routes) invoke(i *caddyhttp.Invoke, in users) users {
	route, ok := w.server.NamedRoutes[i.Name]
	if !ok || slices.Contains(w.within, i.Name) {
		return in
	}
	w.within = append(w.within, i.Name)
	defer func() { w.within = w.within[:len(w.within)-1] }()
	return in.and(w.walk(caddyhttp.RouteList{*route}, in))
}

func (g *Gate) asGate() *Gate { return g }
