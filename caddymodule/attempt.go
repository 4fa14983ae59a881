// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// roundTripContext is one time that a request is put on the wire: where it goes, and
// the context it goes in.
type roundTripContext struct {
	context.Context
	vars  map[string]any // what a dial reads that is still under way when the answer is handled
	url   url.URL
	trace httptrace.ClientTrace
}

// newRoundTripContext begins the next one. Each has a value of its own: what is left of an
// earlier one may still be reading.
func (p *proxiedRequest) newRoundTripContext(req *http.Request) *roundTripContext {
	a := &p.first
	if a.vars = p.vars; p.attempted {
		a = &roundTripContext{vars: maps.Clone(p.vars)}
	}
	p.attempted = true
	a.Context = req.Context()
	a.url = url.URL{Scheme: p.upstream.Scheme, Host: p.upstream.Address, RawQuery: req.URL.RawQuery, ForceQuery: req.URL.ForceQuery}
	if listening := httptrace.ContextClientTrace(a.Context); listening != nil && listening.Got1xxResponse != nil {
		// 1xx answers are cleaned before reverse_proxy's hook passes them on.
		a.trace = *listening
		a.trace.Got1xxResponse = func(code int, h textproto.MIMEHeader) error {
			p.cleanInformational(req, http.Header(h))
			return listening.Got1xxResponse(code, h)
		}
	}
	return a
}

// Value implements [context.Context]. The trace in the context is replaced:
// WithClientTrace would add to it, by reflection, and for every request.
func (a *roundTripContext) Value(key any) any {
	if key == caddyhttp.VarsCtxKey && a.vars != nil {
		return a.vars
	}
	v := a.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok && a.trace.Got1xxResponse != nil {
		return &a.trace
	}
	return v
}
