// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

func init() {
	caddy.RegisterModule(Transport{})
}

// Transport sends a request with the credential of its delegation. It takes
// address, scheme and host from there, sends nothing that the `delegate`
// handler has not authorised, renews a credential that the platform no longer
// accepts and sends the request once more, and cleans the answer.
//
// Its settings are those of the `http` transport, except the ones that would
// undo this: `proxy_protocol`, and `insecure_skip_verify` and `except_ports`
// of `tls`.
type Transport struct {
	*reverseproxy.HTTPTransport

	// pools are the connections for providers with HTTP settings of their own.
	pools map[string]*reverseproxy.HTTPTransport

	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.delegate",
		New: func() caddy.Module { return &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)} },
	}
}

// Provision sets the transport up.
func (t *Transport) Provision(ctx caddy.Context) error {
	if err := t.safe(); err != nil {
		return err
	}
	t.logger = ctx.Logger()
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	t.pools = make(map[string]*reverseproxy.HTTPTransport)
	for name, p := range app.providers {
		if settings := p.traits.HTTP; settings != nil && (settings.Proxy != nil || settings.RootCAs != nil) {
			pool, err := newPool(ctx, *t.HTTPTransport, settings)
			if err != nil {
				return fmt.Errorf("provider %s: %w", name, err)
			}
			t.pools[name] = pool
		}
	}
	return t.HTTPTransport.Provision(ctx)
}

// Cleanup closes idle connections.
func (t *Transport) Cleanup() error {
	var errs []error
	for _, pool := range t.pools {
		errs = append(errs, pool.Cleanup())
	}
	return errors.Join(append(errs, t.HTTPTransport.Cleanup())...)
}

// safe refuses settings that would send a participant's token in clear or to
// whoever answers.
func (t *Transport) safe() error {
	switch {
	case t.ProxyProtocol != "":
		return errors.New("proxy_protocol would tell the platform the user's address: remove it")
	case t.TLS != nil && t.TLS.InsecureSkipVerify:
		return errors.New("tls_insecure_skip_verify would hand tokens to anybody: use `http { ca_file … }` of the provider, or tls_trust_pool")
	case t.TLS != nil && len(t.TLS.ExceptPorts) > 0:
		return errors.New("tls_except_ports has no effect, the scheme comes from the provider's base_url: remove it")
	default:
		return nil
	}
}

// RoundTrip implements [http.RoundTripper]. An error means that the network
// failed; whatever is about a person or the policy is answered as a response.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p := passageFrom(req.Context())
	if p == nil {
		g := &Gate{ProxyStatusName: defaultStatusName, logger: t.logger}
		return g.response(req, delegation.Refuse(delegation.NotDelegated, errors.New("no delegate handler ran before this reverse_proxy"))), nil
	}
	p.begin()
	res, err := t.roundTrip(p, req)
	p.end(req, res, err)
	return res, err
}

func (t *Transport) roundTrip(p *passage, req *http.Request) (*http.Response, error) {
	if !p.covers(req) {
		return p.gate.response(req, delegation.Refuse(delegation.NotDelegated, errors.New("method, URI or upstream changed after it was authorised"))), nil
	}
	body := p.body
	if body == nil {
		var err error
		if body, err = newBody(req, p.forward.requests); err != nil {
			return clientFailed(req, err)
		}
		if body.replayable() {
			p.body = body // reverse_proxy comes back after a failed dial
		}
	}
	res, stale, err := t.send(p, req, body)
	if err != nil {
		return p.broken(req, body, err)
	}
	if !stale {
		p.provider.shared.unauthorized.recordSuccess(&p.delegation)
		return p.clean(req, res), nil
	}
	return t.heal(p, req, body, res)
}

// heal renews the credential and sends the request once more, if it can. A
// 401 never reaches the browser: it would think that its own session ended.
func (t *Transport) heal(p *passage, req *http.Request, body *body, res *http.Response) (*http.Response, error) {
	_ = res.Body.Close() // not read to its end, which may never come
	unauthorized := delegation.Refuse(delegation.UpstreamUnauthorized, nil)
	history := p.provider.shared.unauthorized
	if p.delegation.Public {
		return p.gate.response(req, unauthorized), nil
	}
	pass, leave, ok := history.mayRenew(&p.delegation)
	if !ok {
		return p.gate.response(req, unauthorized), nil
	}
	defer leave()
	if !body.replayable() {
		if history.wasRenewed(&p.delegation, p.credential) {
			history.recordFailure(&p.delegation, pass, unauthorized)
		} else {
			p.renewUnseen(req)
		}
		return p.gate.response(req, unauthorized), nil
	}
	renewed, err := p.provider.Renew(req.Context(), &p.delegation, p.credential)
	if err != nil {
		return p.gate.response(req, err), nil
	}
	p.credential = renewed
	if repl, ok := req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.delegate.renewed", "true")
	}
	res, stale, err := t.send(p, req, body)
	if err != nil {
		return p.broken(req, body, err)
	}
	if !stale {
		history.recordSuccess(&p.delegation)
		return p.clean(req, res), nil
	}
	_ = res.Body.Close()
	history.recordFailure(&p.delegation, pass, unauthorized)
	if found := p.provider.examine(req.Context(), &p.delegation, p.credential); found != nil {
		return p.gate.response(req, found), nil
	}
	return p.gate.response(req, unauthorized), nil
}

// renewals bounds those that nobody waits for, of all providers together.
var renewals = make(chan struct{}, 64)

// renewUnseen renews the credential in the background, so that the next
// request has a new one: this one's body cannot be sent again.
func (p *passage) renewUnseen(req *http.Request) {
	history := p.provider.shared.unauthorized
	if !history.mayRenewUnseen(&p.delegation) {
		return
	}
	select {
	case renewals <- struct{}{}:
	default:
		return // the next request will do it
	}
	ctx, provider, d, stale := delegation.Detach(req.Context()), p.provider, p.delegation, p.credential
	background.Go("renewing a credential", func() {
		defer func() { <-renewals }()
		ctx, cancel := context.WithTimeout(ctx, maxTokenTimeout)
		defer cancel()
		if renewed, err := provider.Renew(ctx, &d, stale); err == nil && !reflect.DeepEqual(renewed, stale) {
			history.recordUnseen(&d, stale)
		}
	})
}

// send puts the request on the wire, once, and tells whether the upstream
// refused the credential. A [delegation.Refusal] means that it must not go
// there, or that the provider cannot tell.
func (t *Transport) send(p *passage, req *http.Request, body *body) (res *http.Response, stale bool, err error) {
	a := p.attempt(req)
	out := req.WithContext(a)
	out.URL = &a.url
	if err := setPath(out.URL, p.upstream.Prefix+p.delegation.Path); err != nil {
		return nil, false, err
	}
	out.Host = p.upstream.Host
	out.Header = headers.Enforce(req.Header)
	if p.upstream.Secretive {
		// So that the answer can be searched for what must not be in it.
		out.Header["Accept-Encoding"] = []string{"identity"}
		delete(out.Header, "Range")
	}
	body.attach(out, req)
	if !p.delegation.Public {
		if missing(p.credential) {
			return nil, false, noCredential(p.provider.name)
		}
		if err := p.apply(out); err != nil {
			return nil, false, delegation.AsRefusal(err)
		}
	}
	if pool, ok := t.pools[p.provider.name]; ok {
		res, err = pool.RoundTrip(out)
	} else {
		res, err = t.HTTPTransport.RoundTrip(out)
	}
	if err != nil {
		return nil, false, err
	}
	if stale, err = p.stale(res); err != nil {
		_ = res.Body.Close()
	}
	return res, stale, err
}

// broken tells what was refused before it was sent, and a client that broke
// off, from an upstream that did.
func (p *passage) broken(req *http.Request, body *body, err error) (*http.Response, error) {
	if refusal, ok := errors.AsType[*delegation.Refusal](err); ok {
		return p.gate.response(req, refusal), nil
	}
	if fault := body.failure(); fault != nil {
		return clientFailed(req, fault)
	}
	if body.underWay() && req.Context().Err() == nil {
		// An upstream that ends such a connection may be tired of a client that
		// sends too slowly or too much. As an error it would count against the
		// upstream, and one such client would be everybody's outage.
		return p.gate.response(req, delegation.Refuse(delegation.UpstreamUnavailable, errors.New(oauth.NetworkCause(err)))), nil
	}
	return nil, err
}

// UnmarshalCaddyfile reads the settings of the http transport:
//
//	transport delegate {
//	    ...
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := t.HTTPTransport.UnmarshalCaddyfile(d); err != nil {
		return err
	}
	if err := t.safe(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Interface guards
var (
	_ http.RoundTripper                      = (*Transport)(nil)
	_ caddy.Provisioner                      = (*Transport)(nil)
	_ caddy.CleanerUpper                     = (*Transport)(nil)
	_ caddyfile.Unmarshaler                  = (*Transport)(nil)
	_ reverseproxy.TLSTransport              = (*Transport)(nil)
	_ reverseproxy.H2CTransport              = (*Transport)(nil)
	_ reverseproxy.RequestHeaderOpsTransport = (*Transport)(nil)
)
