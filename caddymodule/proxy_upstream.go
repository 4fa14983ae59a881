// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	caddy.RegisterModule(Upstream{})
}

// Upstream gives reverse_proxy the address of the provider that the request was
// authorised for. It has no settings.
type Upstream struct{}

// CaddyModule returns the Caddy module information.
func (Upstream) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.upstreams.delegate",
		New: func() caddy.Module { return new(Upstream) },
	}
}

// undelegatedAddress is the upstream of a request that no handler has authorised.
// It is never dialled: the transport refuses the request. An error instead would
// make reverse_proxy fall back to static upstreams.
const undelegatedAddress = "not-delegated.invalid:443"

// GetUpstreams returns the one address of the request's delegation.
func (Upstream) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	// A new value each time: reverse_proxy writes to it.
	up := &reverseproxy.Upstream{Dial: undelegatedAddress}
	if p := proxiedRequestFrom(r.Context()); p != nil {
		up.Dial = p.upstream.Address
		p.outcome.upstreamChosen = true
	}
	return []*reverseproxy.Upstream{up}, nil
}

// UnmarshalCaddyfile reads:
//
//	dynamic delegate
func (Upstream) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // source name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Err("dynamic delegate has no settings: remove the block")
	}
	return nil
}

// Interface guards
var (
	_ reverseproxy.UpstreamSource = (*Upstream)(nil)
	_ caddyfile.Unmarshaler       = (*Upstream)(nil)
)
