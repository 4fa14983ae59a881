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
	vars map[string]any

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
	refused    string // by the transport: the outcome to count
}

// count counts the request once it has come back.
func (p *passage) count() {
	if p.refused != "" {
		requestsTotal.WithLabelValues(p.provider.name, p.refused).Inc()
		return
	}
	p.provider.hot.forwarded.Inc()
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
	case key == caddyhttp.VarsCtxKey && p.vars != nil:
		return p.vars
	default:
		return p.Context.Value(key)
	}
}

func passageFrom(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// ownVars gives reverse_proxy a table of vars to itself; nil if there is none.
// It writes there, while a connection that forward_auth began and did not need
// may still be dialled in the background, and that reads there: both on one map
// would end the process (what caddy#7859 left of it, seen with v2.11.9).
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
