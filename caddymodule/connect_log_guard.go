// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	returnPath   = "/return"
	callbackPath = "/callback"
	redeemPath   = "/redeem"
)

// unloggedPaths are the paths of delegate_connect whose requests are left out of
// Caddy's logs, with all below them. The address of /return has the state, which
// nobody but the browser that began the flow may know. The address of /callback has
// the secret segment, and its headers have the platform's credential, which is the
// same each time and which Caddy does not know as one. The addresses of /redeem and
// /go have tickets.
var unloggedPaths = []string{returnPath, callbackPath, redeemPath, goPath}

// logGuard stands before all routes of a server, and keeps requests to
// unloggedPaths out of Caddy's logs whatever answers them: an authenticator that
// refuses a browser or the platform answers before delegate_connect. Besides, only
// there Caddy's table of vars is the request's alone: once forward_auth has run, a
// connection that it began and did not need may still be dialled in the
// background, and that reads the table. A write at the same time would end the
// process (what caddy#7859 left of it, seen with v2.11.9).
type logGuard struct {
	routes caddyhttp.RouteList // the server's
	errors *caddyhttp.HTTPErrorConfig
	logger *zap.Logger

	mu       sync.Mutex // held while the server is provisioned
	paths    []unloggedPath
	segments []delegation.Secret // of callbacks, wherever in a path

	once           sync.Once
	compiled       caddyhttp.Handler
	compiledErrors caddyhttp.Handler
}

// unloggedPath is one of unloggedPaths as the server gets it.
type unloggedPath struct {
	path     string // in lower case, as Caddy's path matchers know no other
	endpoint string // the one of unloggedPaths
}

// guardLogs has the server that is being provisioned keep the unloggedPaths below
// a delegate_connect's base URL out of its logs, and the segment of its callback.
// It wraps the server's routes as a whole, which Caddy has not compiled yet; where
// that is not so, in a named route, leaveOutOfLogs does what it can.
func guardLogs(ctx caddy.Context, base *url.URL, segment delegation.Secret) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return
	}
	guard := existingGuard(server)
	if guard == nil {
		guard = &logGuard{routes: server.Routes, errors: server.Errors, logger: ctx.Logger()}
		route := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{guard}}
		if route.ProvisionHandlers(ctx, nil) != nil {
			return
		}
		server.Routes = caddyhttp.RouteList{route}
	}
	guard.mu.Lock()
	defer guard.mu.Unlock()
	for _, endpoint := range unloggedPaths {
		guard.paths = append(guard.paths, unloggedPath{strings.ToLower(base.Path) + endpoint, endpoint})
	}
	if segment.Reveal() != "" {
		guard.segments = append(guard.segments, segment)
	}
}

// existingGuard returns the guard that a server has already; nil if none.
func existingGuard(server *caddyhttp.Server) *logGuard {
	if len(server.Routes) != 1 || len(server.Routes[0].Handlers) != 1 {
		return nil
	}
	guard, _ := server.Routes[0].Handlers[0].(*logGuard)
	return guard
}

// leaveOutOfLogs keeps a request out of the access log that no guard has: one in a
// named route, or whose path another proxy or a rewrite has changed. It writes to
// the table of vars in no other case, see [logGuard].
func leaveOutOfLogs(ctx context.Context) {
	if skip, _ := caddyhttp.GetVar(ctx, caddyhttp.LogSkipVar).(bool); !skip {
		caddyhttp.SetVar(ctx, caddyhttp.LogSkipVar, true)
	}
}

// ServeHTTP runs the server's routes.
func (g *logGuard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// Once for all requests: next is the end of the server's chain, and all routes
	// are there by now.
	g.once.Do(func() {
		g.compiled = g.routes.Compile(next)
		g.compiledErrors = caddyhttp.HandlerFunc(writeErrorStatus)
		if g.errors != nil {
			g.compiledErrors = g.errors.Routes.Compile(g.compiledErrors)
		}
	})
	endpoint := g.endpoint(r.URL)
	if endpoint == "" {
		return g.compiled.ServeHTTP(w, r)
	}
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	err := g.compiled.ServeHTTP(w, r)
	if err == nil || r.Context().Err() != nil {
		return nil
	}
	return g.serveError(w, r, endpoint, err)
}

// serveError answers a request whose routes have failed, as Caddy's server would.
// It returns no error to the server, which would log the request with it. The
// platform gets no error page: the page's routes might pass its credential on.
func (g *logGuard) serveError(w http.ResponseWriter, r *http.Request, endpoint string, err error) error {
	status := errorStatus(err)
	if endpoint == callbackPath {
		g.logger.Error("a callback of the platform has failed before delegate_connect", zap.Int("status", status))
		w.WriteHeader(status)
		return nil
	}
	if status >= http.StatusInternalServerError {
		g.logger.Error("a request of a consent flow has failed before delegate_connect", zap.String("endpoint", endpoint), zap.Int("status", status))
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		r.Method, r.RemoteAddr, r.RequestURI = original.Method, original.RemoteAddr, original.RequestURI
		*r.URL = *original.URL
	}
	if g.compiledErrors.ServeHTTP(w, g.errors.WithError(r, err)) != nil {
		w.WriteHeader(status)
	}
	return nil
}

// writeErrorStatus is the end of the routes of handle_errors, where none has
// answered.
func writeErrorStatus(w http.ResponseWriter, r *http.Request) error {
	err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
	w.WriteHeader(errorStatus(err))
	return nil
}

// errorStatus is the status of an error in Caddy's server.
func errorStatus(err error) int {
	if handled, ok := err.(caddyhttp.HandlerError); ok && handled.StatusCode != 0 { //nolint:errorlint // as Caddy's server
		return handled.StatusCode
	}
	return http.StatusInternalServerError
}

// endpoint returns the one of unloggedPaths that a request is for, empty if for
// none. It reads paths as Caddy's matchers do, so that no other spelling comes to
// delegate_connect and is logged.
func (g *logGuard) endpoint(u *url.URL) string {
	requested := strings.ToLower(path.Clean(u.Path))
	for _, p := range g.paths {
		if rest, ok := strings.CutPrefix(requested, p.path); ok && (rest == "" || rest[0] == '/') {
			return p.endpoint
		}
	}
	if g.hasSegment(u.EscapedPath()) || g.hasSegment(u.Path) {
		return callbackPath
	}
	return ""
}

// hasSegment tells whether a path has one of the segments. Each is compared in
// constant time.
func (g *logGuard) hasSegment(path string) bool {
	if !strings.Contains(path, callbackPath+"/") {
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
var _ caddyhttp.MiddlewareHandler = (*logGuard)(nil)
