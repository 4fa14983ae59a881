// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"net/http"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// sharedClient is the HTTP client of all configurations with the same settings, so
// that a reload leaves no connections behind.
type sharedClient struct {
	mu       sync.Mutex
	settings *delegation.HTTP
	http     *http.Client
}

// client returns the client, a new one if the settings have changed.
func (c *sharedClient) client(settings *delegation.HTTP) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil && sameHTTP(c.settings, settings) {
		return c.http
	}
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	c.settings, c.http = settings, settings.Client()
	return c.http
}

func (c *sharedClient) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
}

func sameHTTP(a, b *delegation.HTTP) bool {
	if a == nil || b == nil {
		return a == b
	}
	if (a.Proxy == nil) != (b.Proxy == nil) || (a.RootCAs == nil) != (b.RootCAs == nil) {
		return false
	}
	return a.Timeout == b.Timeout && a.PublicOnly == b.PublicOnly &&
		(a.Proxy == nil || *a.Proxy == *b.Proxy) &&
		(a.RootCAs == nil || a.RootCAs.Equal(b.RootCAs))
}
