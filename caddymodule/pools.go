// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// pools are a transport's connections for the providers that have HTTP
// settings of their own: a proxy, or other certificate authorities.
type pools struct {
	mu sync.Mutex
	by map[*delegation.HTTP]*http.Transport
}

func (p *pools) of(settings *delegation.HTTP, base *reverseproxy.HTTPTransport) *http.Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.by[settings]
	if !ok {
		t = base.Transport.Clone()
		// Not the original's HTTP/2 connections, which were verified with
		// other authorities.
		t.TLSNextProto = nil
		t.ForceAttemptHTTP2 = slices.Contains(base.Versions, "2")
		settings.Configure(t)
		if p.by == nil {
			p.by = make(map[*delegation.HTTP]*http.Transport)
		}
		p.by[settings] = t
	}
	return t
}

func (p *pools) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.by {
		t.CloseIdleConnections()
	}
}
