// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestCloneVars protects the process from a map that forward_auth's left-over
// dial reads while reverse_proxy writes to it.
func TestCloneVars(t *testing.T) {
	before := map[string]any{"study": 42}
	outer := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, before)
	inner := new(proxiedRequest).withContext(outer)
	caddyhttp.SetVar(inner, "written", true)
	if len(before) != 1 || caddyhttp.GetVar(inner, "study") != 42 || caddyhttp.GetVar(inner, "written") != true {
		t.Errorf("before %v, study %v, written %v", before, caddyhttp.GetVar(inner, "study"), caddyhttp.GetVar(inner, "written"))
	}
	if vars := new(proxiedRequest).withContext(t.Context()).Value(caddyhttp.VarsCtxKey); vars != nil {
		t.Errorf("a request without vars got %v", vars)
	}
	if proxiedRequestFrom(inner) == nil || proxiedRequestFrom(outer) != nil {
		t.Error("the request is not where it should be")
	}
}

// TestAttemptsShareNothing protects the process from the same dial, where a
// request is sent again: the context of the first time stays as it was.
func TestAttemptsShareNothing(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	p := &proxiedRequest{vars: map[string]any{"time": 1}}
	first := p.newRoundTripContext(r)
	p.vars = map[string]any{"time": 2}
	second := p.newRoundTripContext(r)
	caddyhttp.SetVar(second, "written", true)
	if first == second || caddyhttp.GetVar(first, "time") != 1 || caddyhttp.GetVar(second, "time") != 2 {
		t.Errorf("the first has %v, the second %v", first.vars, second.vars)
	}
	if len(p.vars) != 1 {
		t.Errorf("the second writes to the request's own vars: %v", p.vars)
	}
}
