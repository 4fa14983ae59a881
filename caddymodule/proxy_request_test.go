// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
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
		t.Error("the passage is not where it should be")
	}
}
