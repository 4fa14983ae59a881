// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// sessionWalk finds out which app_session can stand before which directive, by
// walking the configuration as a request would.
type sessionWalk struct {
	server         *caddyhttp.Server
	invoking       []string // the named routes that the walk is in, against those that invoke themselves
	sessionsBefore map[*SubjectSettings]sessionSet
	allSessions    sessionSet
}

// sessionSet holds the app_session that may have named the user when a request
// comes to a place. nil in it is Caddy's own authentication.
type sessionSet map[*AppSession]struct{}

func (u sessionSet) union(other sessionSet) sessionSet {
	both := maps.Clone(u)
	if both == nil {
		both = make(sessionSet)
	}
	maps.Copy(both, other)
	return both
}

// findHTTPApp notes the HTTP app, whose routes say by which names sessions are used.
func (a *App) findHTTPApp(ctx caddy.Context) {
	for _, m := range ctx.Modules() {
		if http, ok := m.(*caddyhttp.App); ok {
			a.httpApp = http
		}
	}
}

// resolveAliases reads the names of sessions from the configuration, once. It runs
// with the first session, when all handlers are provisioned.
func (a *App) resolveAliases() {
	a.aliases.once.Do(func() {
		before := make(map[*SubjectSettings]sessionSet)
		if a.httpApp != nil {
			for _, server := range a.httpApp.Servers {
				w := &sessionWalk{server: server, sessionsBefore: before, allSessions: make(sessionSet)}
				w.walk(server.Routes, nil)
				if server.Errors != nil {
					w.walk(server.Errors.Routes, w.allSessions)
				}
			}
		}
		for settings, users := range before {
			alias, ok := settings.subjectAlias()
			if !ok {
				continue
			}
			agree := users.sameUser()
			for s := range users {
				switch {
				case agree:
					s.aliases.add(alias)
				case s != nil:
					s.aliases.addIfLearned(alias)
				}
			}
		}
	})
}

// sameUser reports whether a name means the same user, whichever of the sessions
// names it.
func (u sessionSet) sameUser() bool {
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

// walk returns the sessions that may have named the user behind the routes. in are
// those before them.
func (w *sessionWalk) walk(list caddyhttp.RouteList, in sessionSet) sessionSet {
	start := make(map[string]sessionSet) // of each group only one route runs
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
			in = in.union(out)
		}
	}
	return in
}

func (w *sessionWalk) handlers(list []caddyhttp.MiddlewareHandler, in sessionSet) sessionSet {
	for _, handler := range list {
		switch h := handler.(type) {
		case *AppSession:
			in = w.authenticated(in, h, h.Optional)
		case *caddyauth.Authentication:
			in = w.authenticated(in, nil, false)
		case *caddyhttp.Subroute:
			in = w.subroute(h, in)
		case *logGuard:
			in = w.walk(h.routes, in)
		case *caddyhttp.Invoke:
			in = w.invoke(h, in)
		case *intercept.Intercept:
			w.responses(h.HandleResponse, in)
		case *reverseproxy.Handler:
			// forward_auth goes on behind such routes, which name nobody.
			w.responses(h.HandleResponse, in)
		case interface{ subjectSettings() *SubjectSettings }:
			w.sessionsBefore[h.subjectSettings()] = w.sessionsBefore[h.subjectSettings()].union(in)
		}
	}
	return in
}

func (w *sessionWalk) authenticated(in sessionSet, by *AppSession, optional bool) sessionSet {
	w.allSessions[by] = struct{}{}
	if optional {
		return in.union(sessionSet{by: {}})
	}
	return sessionSet{by: {}}
}

func (w *sessionWalk) subroute(s *caddyhttp.Subroute, in sessionSet) sessionSet {
	out := w.walk(s.Routes, in)
	if s.Errors != nil {
		out = out.union(w.walk(s.Errors.Routes, w.allSessions))
	}
	return out
}

func (w *sessionWalk) responses(list []caddyhttp.ResponseHandler, in sessionSet) {
	for _, response := range list {
		w.walk(response.Routes, in)
	}
}

func (w *sessionWalk) invoke(i *caddyhttp.Invoke, in sessionSet) sessionSet {
	route, ok := w.server.NamedRoutes[i.Name]
	if !ok || slices.Contains(w.invoking, i.Name) {
		return in
	}
	w.invoking = append(w.invoking, i.Name)
	defer func() { w.invoking = w.invoking[:len(w.invoking)-1] }()
	return in.union(w.walk(caddyhttp.RouteList{*route}, in))
}

// subjectSettings lets the walk find the directives, whatever embeds these.
func (s *SubjectSettings) subjectSettings() *SubjectSettings { return s }
