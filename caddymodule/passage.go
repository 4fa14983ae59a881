// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/redact"
)

// proxiedRequest is what the handler hands to the transport: the delegation and the
// credential for it. It belongs to one request, and is the context of whatever
// comes behind the handler.
type proxiedRequest struct {
	context.Context
	vars      map[string]any // reverse_proxy's own, until there is an answer
	responded bool           // reverse_proxy has an answer, the platform's or ours

	attachment       delegation.ValuelessContext // for the provider, which gets nothing else of the request's context
	delegation       delegation.Delegation
	credential       delegation.Credential // nil on a public route
	provider         *provider
	upstream         delegation.Upstream
	directive        *Directive
	headerRules      *ForwardedHeaders
	secrets          *redact.Secrets // what must not be in the answer; nil if nothing can be
	body             *requestBody    // once it was read; nil if it is streamed
	first            roundTripContext
	attempted        bool
	responseBody     upstreamBody
	outcome          outcome
	transportRefusal *delegation.Refusal // by the transport
}

// proxiedRequestKey is unexported so that no other handler, template or log field
// can read the credential.
type proxiedRequestKey struct{}

// withContext makes the passage the context inside of another one.
func (p *proxiedRequest) withContext(ctx context.Context) context.Context {
	p.Context = ctx
	p.vars = cloneVars(ctx)
	return p
}

// Value implements [context.Context].
func (p *proxiedRequest) Value(key any) any {
	switch {
	case key == proxiedRequestKey{}:
		return p
	case key == caddyhttp.VarsCtxKey && p.vars != nil && !p.responded:
		return p.vars
	default:
		return p.Context.Value(key)
	}
}

// startRoundTrip notes that reverse_proxy sends the request, once more perhaps.
func (p *proxiedRequest) startRoundTrip() {
	p.outcome.reset()
	p.transportRefusal = nil
}

// finishRoundTrip notes what came of it. Of a WebSocket over HTTP/2 or 3 reverse_proxy keeps
// the client's side in its vars (RFC 8441), and has yet to take it out.
func (p *proxiedRequest) finishRoundTrip(req *http.Request, res *http.Response, err error) {
	p.outcome.record(req, res, err)
	p.responded = err == nil && (res.StatusCode != http.StatusSwitchingProtocols || req.ProtoMajor == 1)
}

func proxiedRequestFrom(ctx context.Context) *proxiedRequest {
	p, _ := ctx.Value(proxiedRequestKey{}).(*proxiedRequest)
	return p
}

// cloneVars gives reverse_proxy a table of vars to itself until there is an
// answer; nil if there is none. It writes there, while a connection that
// forward_auth began and did not need may still be dialled in the background,
// and that reads there: both on one map would end the process (what caddy#7859
// left of it, seen with v2.11.9). The routes of handle_response have the
// request's table again, so that Caddy sees what they say, log_skip for one.
func cloneVars(ctx context.Context) map[string]any {
	vars, _ := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	return maps.Clone(vars)
}

// matchesAuthorized tells whether req is still what was authorised. A rewrite between
// the two handlers would otherwise send a path that no policy has seen, with
// the participant's bearer.
func (p *proxiedRequest) matchesAuthorized(req *http.Request) bool {
	return req.Method == p.delegation.Method &&
		requestTarget(req.URL) == p.delegation.URI &&
		req.URL.Host == p.upstream.Address
}

// requestTarget is path and query, as they are sent.
func requestTarget(u *url.URL) string {
	if u.RawQuery == "" && !u.ForceQuery {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + u.RawQuery
}
