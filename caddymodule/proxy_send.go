// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/replay"
)

// send puts the request on the wire once, and reports whether the upstream
// refused the credential. An error that is a [delegation.Refusal] means that the
// request must not go there, or that the provider cannot tell; any other is the
// network's.
func (p *proxiedRequest) send(wire http.RoundTripper, req *http.Request, body *replay.Body) (res *http.Response, unauthorized bool, err error) {
	ctx := p.newRoundTripContext(req)
	out := req.WithContext(ctx)
	out.URL = &ctx.url
	if err := setPath(out.URL, p.upstream.Prefix+p.upstreamPath); err != nil {
		return nil, false, err
	}
	out.Host = p.upstream.Host
	out.Header = headers.Enforce(req.Header)
	if p.upstream.CredentialInURL {
		// So that the response can be searched for what must not be in it.
		out.Header["Accept-Encoding"] = []string{"identity"}
		delete(out.Header, "Range")
	}
	body.SetOn(out, req)
	if !p.delegation.Public {
		if isNilCredential(p.credential) {
			return nil, false, missingCredential(p.provider.name)
		}
		if err := p.apply(out); err != nil {
			return nil, false, delegation.AsRefusal(err)
		}
	}
	if res, err = wire.RoundTrip(out); err != nil {
		return nil, false, err
	}
	if unauthorized, err = p.stale(res); err != nil {
		_ = res.Body.Close()
	}
	return res, unauthorized, err
}

// newRoundTripContext returns the context and the URL for the next time that the
// request is sent. Each has a value of its own: what is left of an earlier one
// may still be reading.
func (p *proxiedRequest) newRoundTripContext(req *http.Request) *roundTripContext {
	c := &p.first
	if p.attempted {
		c = &roundTripContext{vars: maps.Clone(p.vars)} // not a word is written to the first any more
	} else {
		c.vars, p.attempted = p.vars, true
	}
	c.Context = req.Context()
	c.url = url.URL{Scheme: p.upstream.Scheme, Host: p.upstream.Address, RawQuery: req.URL.RawQuery, ForceQuery: req.URL.ForceQuery}
	if trace := httptrace.ContextClientTrace(c.Context); trace != nil && trace.Got1xxResponse != nil {
		// 1xx responses are cleaned before reverse_proxy's hook passes them on.
		c.trace = *trace
		c.trace.Got1xxResponse = func(code int, h textproto.MIMEHeader) error {
			p.cleanInformational(req, http.Header(h))
			return trace.Got1xxResponse(code, h)
		}
	}
	return c
}

func setPath(u *url.URL, escaped string) error {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return fmt.Errorf("path of the upstream: %w", err)
	}
	u.Path, u.RawPath = path, escaped
	return nil
}

// classifyError tells an error in sending apart: what was refused before it was
// sent and a client that broke off are responses, an upstream that broke off is
// the error, which counts against it.
func (p *proxiedRequest) classifyError(req *http.Request, body *replay.Body, err error) (*http.Response, error) {
	if refusal, ok := errors.AsType[*delegation.Refusal](err); ok {
		return p.refusalResponse(req, refusal), nil
	}
	if fault := body.ReadError(); fault != nil {
		return p.clientErrorResponse(req, fault)
	}
	if body.PartlySent() && req.Context().Err() == nil {
		// An upstream that ends such a connection may be tired of a client that
		// sends too slowly or too much. As an error it would count against the
		// upstream, and one such client would be everybody's outage.
		return p.refusalResponse(req, delegation.Refuse(delegation.UpstreamUnavailable, errors.New(neterror.Cause(err)))), nil
	}
	return nil, err
}

// clientErrorResponse answers a request whose body could not be read. As an
// error it would count against the upstream; a client's leaving does not.
func (p *proxiedRequest) clientErrorResponse(req *http.Request, err error) (*http.Response, error) {
	if req.Context().Err() != nil {
		return nil, context.Canceled
	}
	// net/http's errors quote what came over the wire.
	refusal := delegation.Refuse(delegation.BodyIncomplete, errors.New("the client's body could not be read to its end"))
	handled, _ := errors.AsType[caddyhttp.HandlerError](err)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || handled.StatusCode == http.StatusRequestEntityTooLarge {
		refusal = delegation.Refuse(delegation.BodyTooLarge, nil) // by request_body
	}
	return p.refusalResponse(req, refusal), nil
}
