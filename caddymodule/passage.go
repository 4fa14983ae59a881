// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// passage is what the handler hands to the transport: the delegation and the
// credential for it. It belongs to one request.
type passage struct {
	delegation *delegation.Delegation
	credential delegation.Credential // nil on a public route
	provider   *provider
	upstream   delegation.Upstream
	gate       *Gate
	body       *body // once it was read; nil if it is streamed
}

// passageKey is unexported so that no other handler, template or log field
// can read the credential.
type passageKey struct{}

func (p *passage) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, passageKey{}, p)
}

func passageFrom(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// withOwnVars gives reverse_proxy a table of vars to itself. It writes there,
// while a connection that forward_auth began and did not need may still be
// dialled in the background, and that reads there: both on one map would end
// the process (what caddy#7859 left of it, seen with v2.11.9).
func withOwnVars(ctx context.Context) context.Context {
	vars, ok := ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, caddyhttp.VarsCtxKey, maps.Clone(vars))
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
