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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
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
	if err := t.checkSettings(); err != nil {
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
			pool, err := newProviderTransport(ctx, *t.HTTPTransport, settings)
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

// checkSettings refuses settings that would send a participant's token in clear or to
// whoever answers.
func (t *Transport) checkSettings() error {
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
	p := proxiedRequestFrom(req.Context())
	if p == nil {
		g := &Directive{ProxyStatusName: defaultStatusName, logger: t.logger}
		return g.refusalResponse(req, delegation.Refuse(delegation.NotDelegated, errors.New("no delegate handler ran before this reverse_proxy"))), nil
	}
	p.startRoundTrip()
	res, err := t.roundTrip(p, req)
	p.finishRoundTrip(req, res, err)
	return res, err
}

func (t *Transport) roundTrip(p *proxiedRequest, req *http.Request) (*http.Response, error) {
	if !p.matchesAuthorized(req) {
		return p.directive.refusalResponse(req, delegation.Refuse(delegation.NotDelegated, errors.New("method, URI or upstream changed after it was authorised"))), nil
	}
	body := p.body
	if body == nil {
		var err error
		if body, err = readRequestBody(req, p.headerRules.requestHeaders); err != nil {
			return clientErrorResponse(req, err)
		}
		if body.replayable() {
			p.body = body // reverse_proxy comes back after a failed dial
		}
	}
	res, stale, err := t.send(p, req, body)
	if err != nil {
		return p.classifyError(req, body, err)
	}
	if !stale {
		p.provider.state.unauthorized.recordSuccess(&p.delegation)
		return p.cleanResponse(req, res), nil
	}
	return t.retryUnauthorized(p, req, body, res)
}

// retryUnauthorized renews the credential and sends the request once more, if it can. A
// 401 never reaches the browser: it would think that its own session ended.
func (t *Transport) retryUnauthorized(p *proxiedRequest, req *http.Request, body *requestBody, res *http.Response) (*http.Response, error) {
	_ = res.Body.Close() // not read to its end, which may never come
	unauthorized := delegation.Refuse(delegation.UpstreamUnauthorized, nil)
	history := p.provider.state.unauthorized
	if p.delegation.Public {
		return p.directive.refusalResponse(req, unauthorized), nil
	}
	pass, leave, ok := history.mayRenew(&p.delegation)
	if !ok {
		return p.directive.refusalResponse(req, unauthorized), nil
	}
	defer leave()
	if !body.replayable() {
		if history.wasRenewedInBackground(&p.delegation, p.credential) {
			history.recordFailure(&p.delegation, pass, unauthorized)
		} else {
			p.renewInBackground(req)
		}
		return p.directive.refusalResponse(req, unauthorized), nil
	}
	renewed, err := p.provider.Renew(req.Context(), &p.delegation, p.credential)
	if err != nil {
		return p.directive.refusalResponse(req, err), nil
	}
	p.credential = renewed
	if repl, ok := req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set("http.delegate.renewed", "true")
	}
	res, stale, err := t.send(p, req, body)
	if err != nil {
		return p.classifyError(req, body, err)
	}
	if !stale {
		history.recordSuccess(&p.delegation)
		return p.cleanResponse(req, res), nil
	}
	_ = res.Body.Close()
	history.recordFailure(&p.delegation, pass, unauthorized)
	if found := p.provider.examine(req.Context(), &p.delegation, p.credential); found != nil {
		return p.directive.refusalResponse(req, found), nil
	}
	return p.directive.refusalResponse(req, unauthorized), nil
}

// backgroundRenewals bounds those that nobody waits for, of all providers together.
var backgroundRenewals = make(chan struct{}, 64)

// renewInBackground renews the credential in the background, so that the next
// request has a new one: this one's body cannot be sent again.
func (p *proxiedRequest) renewInBackground(req *http.Request) {
	history := p.provider.state.unauthorized
	if !history.mayRenewInBackground(&p.delegation) {
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
			history.recordBackgroundRenewal(&d, stale)
		}
	})
}

// send puts the request on the wire, once, and tells whether the upstream
// refused the credential. A [delegation.Refusal] means that it must not go
// there, or that the provider cannot tell.
func (t *Transport) send(p *proxiedRequest, req *http.Request, body *requestBody) (res *http.Response, stale bool, err error) {
	a := p.newRoundTripContext(req)
	out := req.WithContext(a)
	out.URL = &a.url
	if err := setPath(out.URL, p.upstream.Prefix+p.delegation.Path); err != nil {
		return nil, false, err
	}
	out.Host = p.upstream.Host
	out.Header = headers.Enforce(req.Header)
	if p.upstream.CredentialInURL {
		// So that the answer can be searched for what must not be in it.
		out.Header["Accept-Encoding"] = []string{"identity"}
		delete(out.Header, "Range")
	}
	body.setOn(out, req)
	if !p.delegation.Public {
		if isNilCredential(p.credential) {
			return nil, false, missingCredential(p.provider.name)
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

// classifyError tells what was refused before it was sent, and a client that broke
// off, from an upstream that did.
func (p *proxiedRequest) classifyError(req *http.Request, body *requestBody, err error) (*http.Response, error) {
	if refusal, ok := errors.AsType[*delegation.Refusal](err); ok {
		return p.directive.refusalResponse(req, refusal), nil
	}
	if fault := body.readError(); fault != nil {
		return clientErrorResponse(req, fault)
	}
	if body.partlySent() && req.Context().Err() == nil {
		// An upstream that ends such a connection may be tired of a client that
		// sends too slowly or too much. As an error it would count against the
		// upstream, and one such client would be everybody's outage.
		return p.directive.refusalResponse(req, delegation.Refuse(delegation.UpstreamUnavailable, errors.New(neterror.Cause(err)))), nil
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
	if err := t.checkSettings(); err != nil {
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
