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

// passage is what the handler hands to the transport: the delegation and the
// credential for it. It belongs to one request, and is the context of whatever
// comes behind the handler.
type passage struct {
	context.Context
	vars     map[string]any // reverse_proxy's own, until there is an answer
	answered bool           // reverse_proxy has an answer, the platform's or ours

	attached   delegation.Attachment // for the provider, which gets nothing else of the request's context
	delegation delegation.Delegation
	credential delegation.Credential // nil on a public route
	provider   *provider
	upstream   delegation.Upstream
	gate       *Gate
	forward    *Forward
	secrets    *redact.Secrets // what must not be in the answer; nil if nothing can be
	body       *body           // once it was read; nil if it is streamed
	first      attempt
	attempted  bool
	watched    watchedBody
	outcome    outcome
	refused    *delegation.Refusal // by the transport
}

// passageKey is unexported so that no other handler, template or log field
// can read the credential.
type passageKey struct{}

// within makes the passage the context inside of another one.
func (p *passage) within(ctx context.Context) context.Context {
	p.Context = ctx
	p.vars = ownVars(ctx)
	return p
}

// Value implements [context.Context].
func (p *passage) Value(key any) any {
	switch {
	case key == passageKey{}:
		return p
	case key == caddyhttp.VarsCtxKey && p.vars != nil && !p.answered:
		return p.vars
	default:
		return p.Context.Value(key)
	}
}

// begin notes that reverse_proxy sends the request, once more perhaps.
func (p *passage) begin() {
	p.outcome.begin()
	p.refused = nil
}

// end notes what came of it. Of a WebSocket over HTTP/2 or 3 reverse_proxy keeps
// the client's side in its vars (RFC 8441), and has yet to take it out.
func (p *passage) end(req *http.Request, res *http.Response, err error) {
	p.outcome.end(req, res, err)
	p.answered = err == nil && (res.StatusCode != http.StatusSwitchingProtocols || req.ProtoMajor == 1)
}

func passageFrom(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// ownVars gives reverse_proxy a table of vars to itself until there is an
// answer; nil if there is none. It writes there, while a connection that
// forward_auth began and did not need may still be dialled in the background,
// and that reads there: both on one map would end the process (what caddy#7859
// left of it, seen with v2.11.9). The routes of handle_response have the
// request's table again, so that Caddy sees what they say, log_skip for one.
func ownVars(ctx context.Context) map[string]any {
	vars, _ := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	return maps.Clone(vars)
}

// covers tells whether req is still what was authorised. A rewrite between
// the two handlers would otherwise send a path that no policy has seen, with
// the participant's bearer.
func (p *passage) covers(req *http.Request) bool {
	return req.Method == p.delegation.Method &&
		target(req.URL) == p.delegation.URI &&
		req.URL.Host == p.upstream.Address
}

// target is path and query, as they are sent.
func target(u *url.URL) string {
	if u.RawQuery == "" && !u.ForceQuery {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + u.RawQuery
}
