// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// providerTransports are the connections for providers, and for sources of
// providers, with HTTP settings of their own.
type providerTransports struct {
	byProvider map[string]*reverseproxy.HTTPTransport
	bySource   map[*providerSource]*reverseproxy.HTTPTransport
}

// provision makes them. base are the transport's own settings, not provisioned yet.
// The error names the provider, and the source.
func (t *providerTransports) provision(ctx caddy.Context, base reverseproxy.HTTPTransport, providers map[string]*provider) error {
	t.byProvider = make(map[string]*reverseproxy.HTTPTransport)
	t.bySource = make(map[*providerSource]*reverseproxy.HTTPTransport)
	for name, p := range providers {
		own, err := newOwnTransport(ctx, base, p.traits.HTTP)
		if err != nil {
			return fmt.Errorf("provider %s: %w", name, err)
		}
		if own != nil {
			t.byProvider[name] = own
		}
		for _, s := range p.sources {
			own, err := newOwnTransport(ctx, base, s.HTTP)
			if err != nil {
				return fmt.Errorf("provider %s: source %s: %w", name, s.Name, err)
			}
			if own != nil {
				t.bySource[s] = own
			}
		}
	}
	return nil
}

// find returns the connections for a request's source or else its provider; nil if
// they have no settings of their own. A source with settings has them in place of
// the provider's.
func (t *providerTransports) find(p *proxiedRequest) *reverseproxy.HTTPTransport {
	if p.source != nil && p.source.HTTP != nil {
		return t.bySource[p.source]
	}
	return t.byProvider[p.provider.name]
}

// cleanup closes idle connections.
func (t *providerTransports) cleanup() error {
	var errs []error
	for _, own := range t.byProvider {
		errs = append(errs, own.Cleanup())
	}
	for _, own := range t.bySource {
		errs = append(errs, own.Cleanup())
	}
	return errors.Join(errs...)
}

// newOwnTransport makes the connections by settings; nil if they say nothing of
// connections.
func newOwnTransport(ctx caddy.Context, base reverseproxy.HTTPTransport, settings *delegation.HTTP) (*reverseproxy.HTTPTransport, error) {
	if !needsOwnTransport(settings) {
		return nil, nil
	}
	return newProviderTransport(ctx, base, settings)
}

// needsOwnTransport reports whether the settings of a provider, or of one of its
// sources, are ones of connections to its API.
func needsOwnTransport(settings *delegation.HTTP) bool {
	return settings != nil && (settings.Proxy != nil || settings.RootCAs != nil || settings.PublicOnly)
}

// newProviderTransport makes the connections for an upstream that is reached
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
