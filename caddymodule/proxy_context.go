// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http/httptrace"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// roundTripContext is the context of one time that a request is put on the wire,
// and where it goes. One by hand instead of context.WithValue and
// httptrace.WithClientTrace, which composes hooks by reflection: those cost six
// allocations and a tenth of the time of BenchmarkWarmPath.
type roundTripContext struct {
	context.Context
	vars  map[string]any // for a dial that is still under way when the response is handled; nil: the request's
	url   url.URL
	trace httptrace.ClientTrace // with a hook for 1xx responses; without one the request's is used
}

// Value implements [context.Context].
func (c *roundTripContext) Value(key any) any {
	if key == caddyhttp.VarsCtxKey && c.vars != nil {
		return c.vars
	}
	v := c.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok && c.trace.Got1xxResponse != nil {
		return &c.trace
	}
	return v
}
