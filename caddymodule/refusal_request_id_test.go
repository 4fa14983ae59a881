// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestRequestID protects an operator who looks a refusal up by an ID that the
// configuration shows, in a header or a log: it is the refusal's own, whoever reads it
// first; and the request's vars are not written to (see cloneVars).
func TestRequestID(t *testing.T) {
	for name, first := range map[string]bool{"the refusal is first": false, "the configuration is first": true} {
		vars := map[string]any{}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars)
		r = r.WithContext(context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields)))
		repl := caddyhttp.NewTestReplacer(r)
		r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
		shown := func() string { id, _ := repl.GetString("http.request.uuid"); return id }
		early := ""
		if first {
			early = shown()
		}
		before := len(vars)
		id := requestID(r)
		if len(id) != 36 || requestID(r) != id || first && early != id || len(vars) != before || shown() != id {
			t.Errorf("%s: %q, then %q; shown %q and %q; %d vars, %d before", name, id, requestID(r), early, shown(), len(vars), before)
		}
	}
}
