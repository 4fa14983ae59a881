// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/tls"
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// newProviderTransport makes connections for a provider that is reached through a proxy or
// has certificate authorities of its own. base is the transport's own
// configuration, not provisioned yet.
func newProviderTransport(ctx caddy.Context, base reverseproxy.HTTPTransport, settings *delegation.HTTP) (*reverseproxy.HTTPTransport, error) {
	if slices.Contains(base.Versions, "3") {
		return nil, errors.New("http: its proxy and ca_file do not apply to HTTP/3; leave 3 out of the transport's versions")
	}
	pool := &base
	if settings.Proxy != nil {
		// By Caddy's module and not on the http.Transport: Caddy's dialer goes
		// straight to the upstream unless its own proxy was chosen.
		pool.NetworkProxyRaw = caddyconfig.JSONModuleObject(map[string]string{"url": settings.Proxy.String()}, "from", "url", nil)
	}
	if err := pool.Provision(ctx); err != nil {
		return nil, err
	}
	if settings.RootCAs != nil {
		if pool.Transport.TLSClientConfig == nil {
			pool.Transport.TLSClientConfig = new(tls.Config)
		}
		pool.Transport.TLSClientConfig.RootCAs = settings.RootCAs
	}
	return pool, nil
}
