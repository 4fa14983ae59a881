// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/redact"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/replay"
)

// proxiedRequest is the owner of one request through delegate and reverse_proxy:
// what the handler has decided, what the transport needs for that, and what came
// of it. It is the context of whatever runs behind the handler, under a key of
// this package's own.
type proxiedRequest struct {
	context.Context                // the client's; nil until the request is passed on
	vars            map[string]any // reverse_proxy's own, until there is a response
	responded       bool           // reverse_proxy has a response, the platform's or a refusal

	// The handler's decisions.
	directive    *ProviderDirective
	provider     *provider
	source       *providerSource // that the path names; nil for a provider without sources
	policy       *policy.Table
	headerRules  *ForwardedHeaders
	delegation   delegation.Delegation
	attachment   delegation.ValuelessContext // the context for the provider, which gets nothing else of the request's
	credential   delegation.Credential       // nil on a public route
	upstream     delegation.Upstream
	upstreamPath string      // the canonical path without the upstream's Mount, before its Prefix
	header       http.Header // what crosses of the client's

	// The transport's part.
	body         *replay.Body // once it was read; nil if it is streamed
	first        roundTripContext
	attempted    bool            // first is in use
	secrets      *redact.Secrets // what must not be in the response; nil if nothing can be
	responseBody upstreamBody

	outcome outcome
	refusal *delegation.Refusal // the transport's last one
}

// proxiedRequestKey is unexported so that no other handler, template or log
// field can read the credential.
type proxiedRequestKey struct{}

// upstreamBody is the body of the platform's response.
type upstreamBody struct {
	io.ReadCloser
	request  *proxiedRequest
	response *http.Response
}

// roundTripContext is the context of one time that a request is put on the wire,
// and where it goes. One by hand instead of context.WithValue and
// httptrace.WithClientTrace, which composes hooks by reflection: those cost six
// allocations and 8 % of the time of BenchmarkWarmPath.
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

// withContext makes the request a context, below another one.
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
	case key == deferCountKey{}:
		return p.deferCount
	default:
		return p.Context.Value(key)
	}
}

func proxiedRequestFrom(ctx context.Context) *proxiedRequest {
	p, _ := ctx.Value(proxiedRequestKey{}).(*proxiedRequest)
	return p
}

// cloneVars gives reverse_proxy a table of vars to itself until there is a
// response; nil if there is no table. It writes there, while a connection that
// forward_auth began and did not need may still be dialled in the background,
// and that reads there: both on one map would end the process (what caddy#7859
// left of it, seen with v2.11.9). The routes of handle_response have the
// request's table again, so that Caddy sees what they say, log_skip for one.
func cloneVars(ctx context.Context) map[string]any {
	vars, _ := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	return maps.Clone(vars)
}

// refuse answers the client with err's refusal.
func (p *proxiedRequest) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	return p.directive.refusals.refuse(w, p.refusedRequest(r), err)
}

// refusalResponse is err's refusal as the transport's response.
func (p *proxiedRequest) refusalResponse(req *http.Request, err error) *http.Response {
	return p.directive.refusals.response(p.refusedRequest(req), err)
}

// noMatchingLine is what the log says in place of a pattern where no line of the
// policy covers a request.
const noMatchingLine = "no line"

func (p *proxiedRequest) refusedRequest(r *http.Request) refusedRequest {
	refused := refusedRequest{Request: r, method: p.delegation.Method, source: p.delegation.Source, route: noMatchingLine}
	if pattern, ok := p.policy.Pattern(p.delegation.Method, p.delegation.Path, p.delegation.Upgrade); ok {
		refused.route = pattern
	}
	refused.person = func() delegation.Person {
		if p.Context != nil || p.delegation.Person != (delegation.Person{}) {
			return p.delegation.Person
		}
		return p.directive.knownPerson(r) // refused before it was found out who is asking
	}
	if p.Context != nil {
		refused.deferCount = p.deferCount
	}
	return refused
}

// deferCount has a refusal counted as the request's outcome, when it comes back.
func (p *proxiedRequest) deferCount(label string, refusal *delegation.Refusal) {
	p.outcome.label, p.refusal = label, refusal
}

// matchesAuthorized reports whether req is still what was authorised. A rewrite
// between the two handlers would otherwise send a path that no policy has seen,
// with the participant's bearer.
func (p *proxiedRequest) matchesAuthorized(req *http.Request) bool {
	return req.Method == p.delegation.Method &&
		requestTarget(req.URL) == p.delegation.URI &&
		req.URL.Host == p.upstream.Address
}

// requestTarget is path and query as they are sent (RFC 9112 section 3.2.1).
func requestTarget(u *url.URL) string {
	if u.RawQuery == "" && !u.ForceQuery {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + u.RawQuery
}

// startRoundTrip notes that reverse_proxy sends the request, once more perhaps.
func (p *proxiedRequest) startRoundTrip() {
	p.outcome.reset()
	p.refusal = nil
}

// finishRoundTrip notes what came of it. Of a WebSocket over HTTP/2 or 3
// reverse_proxy keeps the client's side in its vars (RFC 8441), and has yet to
// take it out.
func (p *proxiedRequest) finishRoundTrip(req *http.Request, res *http.Response, err error) {
	p.outcome.record(req, res, err)
	p.responded = err == nil && (res.StatusCode != http.StatusSwitchingProtocols || req.ProtoMajor == 1)
}
