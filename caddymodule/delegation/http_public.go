// SPDX-License-Identifier: Apache-2.0

package delegation

import (
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/publicaddr"
)

// UsesProxy reports whether connections to an address go through a proxy, of the
// settings or of the environment. It connects to the address then, and looks up its
// name, so that PublicOnly has no effect.
func (h *HTTP) UsesProxy(u *url.URL) bool {
	if h != nil && h.Proxy != nil {
		return true
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	return err == nil && proxy != nil
}

// publicTransport sends a request through the environment's proxy, or else directly
// and to public addresses only. It is two transports, as a dialer is not told whether
// what it is to connect to is the proxy, which may well be in a private network.
type publicTransport struct {
	direct, proxied *http.Transport
}

// newPublicTransport returns the transport with the settings of t, whose proxy is the
// environment's. t becomes a part of it.
func newPublicTransport(t *http.Transport) *publicTransport {
	direct := t.Clone()
	direct.Proxy = nil
	direct.DialContext = (&net.Dialer{
		Timeout:   30 * time.Second,
		KeepAlive: 30 * time.Second,
		Control:   publicaddr.Control,
	}).DialContext
	return &publicTransport{direct: direct, proxied: t}
}

// RoundTrip implements [http.RoundTripper].
func (t *publicTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	// An error is the proxied transport's to return, with all that it does beside.
	if proxy, err := http.ProxyFromEnvironment(req); proxy != nil || err != nil {
		return t.proxied.RoundTrip(req)
	}
	return t.direct.RoundTrip(req)
}

// CloseIdleConnections closes the connections that are not in use, for
// [http.Client.CloseIdleConnections].
func (t *publicTransport) CloseIdleConnections() {
	t.direct.CloseIdleConnections()
	t.proxied.CloseIdleConnections()
}
