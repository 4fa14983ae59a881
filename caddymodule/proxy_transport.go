// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/policy"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/replay"
)

func init() {
	caddy.RegisterModule(Transport{})
}

// Transport sends a request with the credential of its delegation. It takes
// address, scheme and host from there, sends nothing that the `delegate`
// handler has not authorised, renews a credential that the platform no longer
// accepts and sends the request once more, and cleans the response.
//
// Its settings are those of the `http` transport, except the ones that would
// undo this: `proxy_protocol`, and `insecure_skip_verify` and `except_ports`
// of `tls`.
type Transport struct {
	*reverseproxy.HTTPTransport

	own providerTransports // for providers and sources with HTTP settings of their own

	refusals refuser // of requests that no handler has authorised
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
	app, err := configuredApp(ctx)
	if err != nil {
		return err
	}
	t.refusals = refuser{statusName: structuredName(app.ProxyStatusName), logger: ctx.Logger()}
	if err := t.own.provision(ctx, *t.HTTPTransport, app.providers); err != nil {
		return err
	}
	return t.HTTPTransport.Provision(ctx)
}

// Cleanup closes idle connections.
func (t *Transport) Cleanup() error {
	return errors.Join(t.own.cleanup(), t.HTTPTransport.Cleanup())
}

// checkSettings refuses settings that would send a participant's token in clear
// or to whoever answers.
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
		method, _ := policy.WireMethod(req)
		undelegated := delegation.Refuse(delegation.NotDelegated, errors.New("no delegate handler ran before this reverse_proxy"))
		return t.refusals.response(refusedRequest{Request: req, method: method}, undelegated), nil
	}
	p.startRoundTrip()
	res, err := t.roundTrip(p, req)
	p.finishRoundTrip(req, res, err)
	return res, err
}

func (t *Transport) roundTrip(p *proxiedRequest, req *http.Request) (*http.Response, error) {
	if !p.matchesAuthorized(req) {
		return p.refusalResponse(req, delegation.Refuse(delegation.NotDelegated, errors.New("method, URI or upstream changed after it was authorised"))), nil
	}
	body := p.body
	if body == nil {
		var err error
		if body, err = replay.Read(req, p.headerRules.requestHeaders); err != nil {
			return p.clientErrorResponse(req, err)
		}
		if body.Replayable() {
			p.body = body // reverse_proxy comes back after a failed dial
		}
	}
	wire := t.connectionsTo(p)
	res, unauthorized, err := p.send(wire, req, body)
	if err != nil {
		return p.classifyError(req, body, err)
	}
	if unauthorized {
		return p.retryUnauthorized(wire, req, body, res)
	}
	p.provider.state.unauthorized.RecordSuccess(&p.delegation)
	return p.cleanResponse(req, res), nil
}

// connectionsTo are the connections to a request's upstream.
func (t *Transport) connectionsTo(p *proxiedRequest) *reverseproxy.HTTPTransport {
	if own := t.own.find(p); own != nil {
		return own
	}
	return t.HTTPTransport
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
