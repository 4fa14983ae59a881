// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
)

// checkGuarded refuses the settings of a transport that [guardTransport] would undo,
// or that would undo it: Caddy's dialer, which knows them, checks no address.
func checkGuarded(t *reverseproxy.HTTPTransport) error {
	if t.Resolver != nil || t.LocalAddress != "" || t.ReadTimeout != 0 || t.WriteTimeout != 0 || t.TLS != nil && strings.Contains(t.TLS.ServerName, "{") {
		return errors.New("resolvers, local_address, read_timeout, write_timeout and a placeholder in tls_server_name do not apply to connections to public addresses only: remove them from the transport")
	}
	return nil
}

// viaProxyVar is set on a request that goes through a proxy of the environment.
const viaProxyVar = "delegate.via_proxy"

// guardTransport has a transport, which is provisioned, connect to public addresses
// only. What goes through a proxy of the environment is connected to as before: the
// proxy may be in a private network, and looks up the upstream itself.
func guardTransport(t *reverseproxy.HTTPTransport) {
	toProxy, choose := t.Transport.DialContext, t.Transport.Proxy
	t.Transport.Proxy = func(req *http.Request) (*url.URL, error) {
		proxy, err := choose(req)
		if proxy != nil {
			caddyhttp.SetVar(req.Context(), viaProxyVar, true)
		}
		return proxy, err
	}
	dialer := &net.Dialer{
		Timeout:       time.Duration(t.DialTimeout),
		FallbackDelay: time.Duration(t.FallbackDelay),
		KeepAlive:     time.Duration(t.KeepAlive.ProbeInterval),
		Control:       publicaddr.Control,
	}
	t.Transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if caddyhttp.GetVar(ctx, viaProxyVar) != nil {
			return toProxy(ctx, network, address)
		}
		// The upstream's address of the request, as Caddy's dialer takes it: the URL may
		// hold another form of it.
		if info, ok := reverseproxy.GetDialInfo(ctx); ok {
			network, address = info.Network, info.Address
		}
		// The error is no reverseproxy.DialError, which only that package can make: with
		// lb_retries, a POST is not sent again after it.
		return dialer.DialContext(ctx, network, address)
	}
}
