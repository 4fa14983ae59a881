// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// requestID returns Caddy's {http.request.uuid}, which is random and the same for
// as long as the request lasts; empty for a request that did not come through
// Caddy's server. Reading it also puts it into the access log, as `uuid`. A client
// has no influence on it: an ID that came with the request could be that of
// another one.
func requestID(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok || r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey) == nil {
		return ""
	}
	id, _ := repl.GetString("http.request.uuid")
	return id
}
