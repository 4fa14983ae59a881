// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// callbackGuard stands before all routes of a server, and keeps requests to
// callbacks out of Caddy's logs whatever answers them. delegate_connect does so
// itself where a request reaches it; an authenticator that was not told to let the
// platform pass answers before it. The address then has the secret segment, and the
// headers have the platform's credential, which is the same each time and which
// Caddy does not know as one.
type callbackGuard struct {
	routes caddyhttp.RouteList // the server's
	logger *zap.Logger

	mu       sync.Mutex // held while the server is provisioned
	segments []delegation.Secret

	once     sync.Once
	compiled caddyhttp.Handler
}

// guardCallback has the server that is being provisioned keep a segment out of its
// logs. It wraps the server's routes as a whole, which Caddy has not compiled yet;
// where that is not so, in a named route, delegate_connect does what it can by
// itself.
func guardCallback(ctx caddy.Context, segment delegation.Secret) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || segment.Reveal() == "" {
		return
	}
	guard := existingGuard(server)
	if guard == nil {
		guard = &callbackGuard{routes: server.Routes, logger: ctx.Logger()}
		route := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{guard}}
		if route.ProvisionHandlers(ctx, nil) != nil {
			return
		}
		server.Routes = caddyhttp.RouteList{route}
	}
	guard.mu.Lock()
	defer guard.mu.Unlock()
	guard.segments = append(guard.segments, segment)
}

// existingGuard returns the guard that a server has already; nil if none.
func existingGuard(server *caddyhttp.Server) *callbackGuard {
	if len(server.Routes) != 1 || len(server.Routes[0].Handlers) != 1 {
		return nil
	}
	guard, _ := server.Routes[0].Handlers[0].(*callbackGuard)
	return guard
}

// ServeHTTP runs the server's routes.
func (g *callbackGuard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// Once for all requests: next is the end of the server's chain, and all routes
	// are there by now.
	g.once.Do(func() { g.compiled = g.routes.Compile(next) })
	if !g.hasSegment(r.URL.EscapedPath()) && !g.hasSegment(r.URL.Path) {
		return g.compiled.ServeHTTP(w, r)
	}
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	err := g.compiled.ServeHTTP(w, r)
	if err == nil || r.Context().Err() != nil {
		return nil
	}
	// Caddy would log the request with the error.
	status := http.StatusInternalServerError
	if handled, ok := err.(caddyhttp.HandlerError); ok && handled.StatusCode != 0 { //nolint:errorlint // as Caddy's server
		status = handled.StatusCode
	}
	g.logger.Error("a callback of the platform has failed before delegate_connect", zap.Int("status", status))
	w.WriteHeader(status)
	return nil
}

// hasSegment tells whether a path has one of the segments. Each is compared in
// constant time.
func (g *callbackGuard) hasSegment(path string) bool {
	if !strings.Contains(path, "/callback/") {
		return false
	}
	found := false
	for part := range strings.SplitSeq(path, "/") {
		for _, segment := range g.segments {
			found = subtle.ConstantTimeCompare([]byte(part), []byte(segment.Reveal())) == 1 || found
		}
	}
	return found
}

// Interface guards
var _ caddyhttp.MiddlewareHandler = (*callbackGuard)(nil)
