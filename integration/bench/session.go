// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // Caddy as it is shipped

	_ "github.com/caddy-delegate/caddy-delegate/caddymodule"
)

func init() {
	caddy.RegisterModule(session{})
	httpcaddyfile.RegisterHandlerDirective("bench_session", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return session{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("bench_session", httpcaddyfile.Before, "basic_auth")
}

// session signs in whoever a header names, at once. All Caddys of the
// comparison have it, so that it cancels out. It is part of this program only:
// nobody must trust such a header.
type session struct{}

// CaddyModule returns the Caddy module information.
func (session) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.bench_session",
		New: func() caddy.Module { return new(session) },
	}
}

// inFlightPath tells how many requests are being handled.
const inFlightPath = "/_bench/in_flight"

var inFlight atomic.Int64

func (session) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if strings.HasSuffix(r.URL.Path, inFlightPath) {
		_, err := w.Write(strconv.AppendInt(nil, inFlight.Load(), 10))
		return err
	}
	inFlight.Add(1)
	defer inFlight.Add(-1)
	if user := r.Header.Get(sessionHeader); user != "" { // or app_session does it
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", user)
	}
	return next.ServeHTTP(w, r)
}

// playCaddy is stock Caddy with the delegate modules, as cmd/caddy is, and
// with the session above.
func playCaddy(args []string) error {
	os.Args = []string{"caddy", "run", "--adapter", "caddyfile", "--config", args[0]}
	caddycmd.Main()
	return nil
}
