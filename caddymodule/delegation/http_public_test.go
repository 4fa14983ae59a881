// SPDX-License-Identifier: Apache-2.0

package delegation_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr/dnstest"
)

// TestT65_PublicOnly protects this machine's own services from an issuer's host that
// leads to them, by its address or by its name. The control is the same client without
// the setting.
func TestT65_PublicOnly(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	dnstest.Answer(t, "vendor.example", "127.0.0.1")
	for _, target := range []string{server.URL, "http://vendor.example:" + address.Port(), "http://[::ffff:127.0.0.1]:" + address.Port()} {
		client := (&delegation.HTTP{PublicOnly: true}).Client()
		res, err := client.Get(target)
		if err == nil {
			_ = res.Body.Close()
		}
		if _, ok := errors.AsType[*publicaddr.Error](err); !ok || !neterror.NotSent(err) {
			t.Errorf("%s: %v", target, err)
		}
		client.CloseIdleConnections()
		if calls.Load() != 0 {
			t.Fatalf("%s was called", target)
		}
		client = new(delegation.HTTP).Client()
		if res, err = client.Get(target); err != nil {
			t.Errorf("the control, %s: %v", target, err)
		} else {
			_ = res.Body.Close()
		}
		client.CloseIdleConnections()
		if calls.Swap(0) != 1 {
			t.Errorf("the control, %s, was not called", target)
		}
	}
}

// TestPublicOnlyThroughAProxy protects a deployment behind a proxy in its own network:
// the proxy is connected to, and looks up the host itself.
func TestPublicOnlyThroughAProxy(t *testing.T) {
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.URL.String()) }))
	defer proxy.Close()
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	h := &delegation.HTTP{PublicOnly: true, Proxy: address}
	client := h.Client()
	defer client.CloseIdleConnections()
	res, err := client.Get("http://vendor.example/token")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if asked.Load() != "http://vendor.example/token" {
		t.Errorf("the proxy was asked for %v", asked.Load())
	}
	vendor := &url.URL{Scheme: "https", Host: "vendor.example"}
	if !h.UsesProxy(vendor) || (&delegation.HTTP{PublicOnly: true}).UsesProxy(&url.URL{Scheme: "https", Host: "localhost"}) {
		t.Error("whether a proxy is used is not told")
	}
}

// TestPublicOnlyInTheFingerprint protects what is kept in memory from a setting that
// has changed.
func TestPublicOnlyInTheFingerprint(t *testing.T) {
	if slices.Equal((&delegation.HTTP{PublicOnly: true}).FingerprintParts(), new(delegation.HTTP).FingerprintParts()) {
		t.Error("the parts are the same")
	}
}
