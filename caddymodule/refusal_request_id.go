// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"
	"go.uber.org/zap"
)

// requestIDKey is where the replacer of a request keeps its ID; no placeholder can be
// written like that.
const requestIDKey = "delegate: the ID of the request"

// requestID returns Caddy's {http.request.uuid} if the configuration has read it, else
// one of the same kind, which is random and the same for as long as the request lasts;
// empty for a request that did not come through Caddy's server. It is in the access log
// as `uuid`. A client has no influence on it: an ID that came with the request could be
// that of another one.
//
// The placeholder is not read here: that writes to the request's vars, which a
// connection that forward_auth began and did not need may be reading, see cloneVars.
func requestID(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	extra, inServer := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok || !inServer {
		return ""
	}
	if id, ok := caddyhttp.GetVar(r.Context(), "uuid").(fmt.Stringer); ok {
		return id.String()
	}
	if id, ok := repl.Get(requestIDKey); ok {
		return id.(string)
	}
	id := uuid.NewString()
	repl.Set(requestIDKey, id)
	repl.Set("http.request.uuid", id) // before Caddy's own, for whoever reads it from now on
	extra.Set(zap.String("uuid", id))
	return id
}
