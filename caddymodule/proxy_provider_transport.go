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

// needsOwnTransport reports whether the settings of a provider, or of one of its
// sources, are ones of connections to its API.
func needsOwnTransport(settings *delegation.HTTP) bool {
	return settings != nil && (settings.Proxy != nil || settings.RootCAs != nil || settings.PublicOnly)
}

// newProviderTransport makes the connections for a provider that is reached
// through a proxy, trusts other certificate authorities than the system's, or may
// be at public addresses only. base is a copy of the transport's own settings, not
// provisioned yet. The error is a setting that these cannot have, or base's.
func newProviderTransport(ctx caddy.Context, base reverseproxy.HTTPTransport, settings *delegation.HTTP) (*reverseproxy.HTTPTransport, error) {
	guarded := settings.PublicOnly && settings.Proxy == nil
	if slices.Contains(base.Versions, "3") {
		return nil, errors.New("http: its proxy, its ca_file and the check of addresses do not apply to HTTP/3; leave 3 out of the transport's versions")
	}
	if guarded {
		if err := checkGuarded(&base); err != nil {
			return nil, err
		}
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
	if guarded {
		guardTransport(transport)
	}
	return transport, nil
}
