// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr/dnstest"
)

// openTransport returns the connections of a provider with the given settings.
func openTransport(t *testing.T, base reverseproxy.HTTPTransport, settings *delegation.HTTP) (*reverseproxy.HTTPTransport, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	transport, err := newProviderTransport(ctx, base, settings)
	if err == nil {
		t.Cleanup(func() { _ = transport.Cleanup() })
	}
	return transport, err
}

// get sends a request by a transport of Caddy's reverse proxy, which keeps variables
// with it.
func get(t *testing.T, transport *reverseproxy.HTTPTransport, address string) (status int, err error) {
	t.Helper()
	ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, make(map[string]any))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	_ = res.Body.Close()
	return res.StatusCode, nil
}

// TestT65_DataOfAPrivateAddress protects this machine's neighbours from data calls to a
// source whose host leads to them. The control is a provider without the setting.
func TestT65_DataOfAPrivateAddress(t *testing.T) {
	calls := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { calls <- r.Host }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	dnstest.Answer(t, "vendor.example", "127.0.0.1")

	guarded, err := openTransport(t, reverseproxy.HTTPTransport{}, &delegation.HTTP{PublicOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	free, err := openTransport(t, reverseproxy.HTTPTransport{}, new(delegation.HTTP))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "vendor.example"} {
		address := "http://" + net.JoinHostPort(host, port) + "/"
		_, err := get(t, guarded, address)
		if _, ok := errors.AsType[*publicaddr.Error](err); !ok || len(calls) > 0 {
			t.Errorf("%s: %v, %d calls", host, err, len(calls))
		}
		if status, err := get(t, free, address); err != nil || status != http.StatusOK {
			t.Errorf("the control, %s: %d, %v", host, status, err)
		}
		<-calls
	}
}

// TestPublicDataThroughAProxy protects a deployment whose proxy is in its own network:
// it is connected to, and looks up the host itself.
func TestPublicDataThroughAProxy(t *testing.T) {
	calls := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { calls <- r.URL.Host }))
	defer proxy.Close()
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	ofSettings, err := openTransport(t, reverseproxy.HTTPTransport{}, &delegation.HTTP{PublicOnly: true, Proxy: address})
	if err != nil {
		t.Fatal(err)
	}
	// The environment is read once in a process: its proxy is stood in for.
	ofEnvironment, err := openTransport(t, reverseproxy.HTTPTransport{}, new(delegation.HTTP))
	if err != nil {
		t.Fatal(err)
	}
	ofEnvironment.Transport.Proxy = http.ProxyURL(address)
	guardTransport(ofEnvironment)
	for name, transport := range map[string]*reverseproxy.HTTPTransport{"settings": ofSettings, "environment": ofEnvironment} {
		if _, err := get(t, transport, "http://vendor.example/data"); err != nil {
			t.Errorf("proxy of the %s: %v", name, err)
		} else if host := <-calls; host != "vendor.example" {
			t.Errorf("proxy of the %s: it was asked for %s", name, host)
		}
	}
}

// TestGuardedSettings protects the check from settings that only Caddy's own dialer
// knows, and those settings from being ignored in silence.
func TestGuardedSettings(t *testing.T) {
	for name, base := range map[string]reverseproxy.HTTPTransport{
		"resolver":      {Resolver: &reverseproxy.UpstreamResolver{Addresses: []string{"127.0.0.1:1"}}},
		"local address": {LocalAddress: "127.0.0.1"},
		"read timeout":  {ReadTimeout: 1},
		"write timeout": {WriteTimeout: 1},
		"server name":   {TLS: &reverseproxy.TLSConfig{ServerName: "{http.request.host}"}},
		"HTTP/3":        {Versions: []string{"3"}},
	} {
		if _, err := openTransport(t, base, &delegation.HTTP{PublicOnly: true}); err == nil || !strings.Contains(err.Error(), "do not apply to") {
			t.Errorf("%s: %v", name, err)
		}
		if name != "HTTP/3" {
			if _, err := openTransport(t, base, new(delegation.HTTP)); err != nil {
				t.Errorf("the control, %s: %v", name, err)
			}
		}
	}
	if !needsOwnTransport(&delegation.HTTP{PublicOnly: true}) || needsOwnTransport(new(delegation.HTTP)) || needsOwnTransport(nil) {
		t.Error("the settings get the wrong transport")
	}
}
