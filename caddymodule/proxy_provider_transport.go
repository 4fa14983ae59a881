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

// newProviderTransport makes the connections for a provider that is reached
// through a proxy or trusts other certificate authorities than the system's.
// base is a copy of the transport's own settings, not provisioned yet. The
// error is a setting that HTTP/3 cannot have, or base's.
func newProviderTransport(ctx caddy.Context, base reverseproxy.HTTPTransport, settings *delegation.HTTP) (*reverseproxy.HTTPTransport, error) {
	if slices.Contains(base.Versions, "3") {
		return nil, errors.New("http: its proxy and ca_file do not apply to HTTP/3; leave 3 out of the transport's versions")
	}
	transport := &base
	if settings.Proxy != nil {
		// By Caddy's module and not on the http.Transport: Caddy's dialer connects
		// to the upstream itself unless its own setting names a proxy.
		transport.NetworkProxyRaw = caddyconfig.JSONModuleObject(map[string]string{"url": settings.Proxy.String()}, "from", "url", nil)
	}
	if err := transport.Provision(ctx); err != nil {
		return nil, err
	}
	if settings.RootCAs != nil {
		if transport.Transport.TLSClientConfig == nil {
			transport.Transport.TLSClientConfig = new(tls.Config)
		}
		transport.Transport.TLSClientConfig.RootCAs = settings.RootCAs
	}
	return transport, nil
}
