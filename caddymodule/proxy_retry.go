// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"reflect"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/replay"
)

// retryUnauthorized renews the credential that the upstream refused with res, and
// sends the request once more, if it can. A 401 never reaches the browser, which
// would think that its own session ended: the response is a 502 then.
func (p *proxiedRequest) retryUnauthorized(wire http.RoundTripper, req *http.Request, body *replay.Body, res *http.Response) (*http.Response, error) {
	_ = res.Body.Close() // not read to its end, which may never come
	unauthorized := delegation.Refuse(delegation.UpstreamUnauthorized, nil)
	history := p.provider.state.unauthorized
	if p.delegation.Public {
		return p.refusalResponse(req, unauthorized), nil
	}
	pass, leave, ok := history.MayRenew(&p.delegation)
	if !ok {
		return p.refusalResponse(req, unauthorized), nil
	}
	defer leave()
	if !body.Replayable() {
		if history.WasRenewedInBackground(&p.delegation, p.credential) {
			history.RecordFailure(&p.delegation, pass, unauthorized)
		} else {
			p.renewInBackground(req)
		}
		return p.refusalResponse(req, unauthorized), nil
	}
	renewed, err := p.provider.Renew(req.Context(), &p.delegation, p.credential)
	if err != nil {
		return p.refusalResponse(req, err), nil
	}
	p.credential = renewed
	if repl, ok := req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.delegate.renewed", "true")
	}
	res, again, err := p.send(wire, req, body)
	if err != nil {
		return p.classifyError(req, body, err)
	}
	if !again {
		history.RecordSuccess(&p.delegation)
		return p.cleanResponse(req, res), nil
	}
	_ = res.Body.Close()
	history.RecordFailure(&p.delegation, pass, unauthorized)
	if found := p.provider.diagnoseUnauthorized(req.Context(), &p.delegation, p.credential); found != nil {
		return p.refusalResponse(req, found), nil
	}
	return p.refusalResponse(req, unauthorized), nil
}

// backgroundRenewals bounds the renewals that nobody waits for, of all providers
// together.
var backgroundRenewals = make(chan struct{}, 64)

// renewInBackground renews the credential so that the next request has a new
// one: this one's body cannot be sent again.
func (p *proxiedRequest) renewInBackground(req *http.Request) {
	history := p.provider.state.unauthorized
	if !history.MayRenewInBackground(&p.delegation) {
		return
	}
	select {
	case backgroundRenewals <- struct{}{}:
	default:
		return // the next request will do it
	}
	ctx, provider, d, stale := delegation.Detach(req.Context()), p.provider, p.delegation, p.credential
	background.Go("renewing a credential", func() {
		defer func() { <-backgroundRenewals }()
		ctx, cancel := context.WithTimeout(ctx, maxTokenTimeout)
		defer cancel()
		if renewed, err := provider.Renew(ctx, &d, stale); err == nil && !reflect.DeepEqual(renewed, stale) {
			history.RecordBackgroundRenewal(&d, stale)
		}
	})
}
