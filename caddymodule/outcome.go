// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
)

// Outcomes of requests besides the codes of refusals.
const (
	outcomeForwarded  = "forwarded"   // the platform answered
	outcomeWebSocket  = "websocket"   // the same, with a WebSocket that has ended since
	outcomeBrokenOff  = "broken_off"  // the platform broke off within its answer
	outcomeAnswered   = "answered"    // by another handler, or by delegate_token
	outcomeClientLeft = "client_left" // before there was an answer
)

// outcome is what has become of a request that was passed on. reverse_proxy may
// try more than once: the last time counts.
type outcome struct {
	label          string // empty: nothing was sent
	networkError   error  // why there is no answer; nil if there is one
	upstreamChosen bool   // reverse_proxy asked where to, and has sent nothing since
}

// reset notes that the request is about to be sent.
func (o *outcome) reset() { *o = outcome{} }

// record notes what came of it.
func (o *outcome) record(req *http.Request, res *http.Response, err error) {
	switch {
	case err != nil && req.Context().Err() != nil:
		o.label = outcomeClientLeft
	case err != nil:
		o.networkError = err
	case o.label != "": // refused
	case res.StatusCode == http.StatusSwitchingProtocols:
		o.label = outcomeWebSocket
	default:
		o.label = outcomeForwarded
	}
}

// refusal is what to answer where reverse_proxy has failed with err; nil if it
// has not, or if it was another handler behind us that did.
func (o *outcome) refusal(r *http.Request, err error) *delegation.Refusal {
	switch {
	case err == nil || r.Context().Err() != nil:
		return nil
	case o.networkError != nil && errors.Is(err, o.networkError):
		code := delegation.UpstreamUnavailable
		if timeout, ok := o.networkError.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as reverse_proxy's statusError
			code = delegation.UpstreamTimeout
		}
		return delegation.Refuse(code, errors.New(neterror.Cause(o.networkError)))
	case o.upstreamChosen:
		return delegation.Refuse(delegation.UpstreamDown, errors.New("reverse_proxy leaves the platform alone for a while, see its max_fails and fail_duration"))
	default:
		return nil
	}
}

// passOn passes the request on, and answers where reverse_proxy has failed.
func (p *proxiedRequest) passOn(w http.ResponseWriter, r *http.Request, header http.Header, next caddyhttp.Handler) error {
	// A copy with only what may cross, so that whatever the operator's own
	// header_up adds behind us can be told from what the client sent.
	out := r.WithContext(p.withContext(r.Context()))
	out.Header = header
	defer p.countOutcome()
	pages := p.forErrorPages(w, r)
	err := next.ServeHTTP(pages, out)
	if p.outcome.label == "" && r.Context().Err() != nil {
		p.outcome.label = outcomeClientLeft
	}
	if refusal := p.outcome.refusal(r, err); refusal != nil {
		if err := p.directive.refuse(w, r.WithContext(p), refusal); err != nil {
			return err
		}
		// For Caddy's log of errors; that there is an answer already, it bears.
		return caddyhttp.Error(refusal.Status(), refusal)
	}
	if err == nil {
		err = caughtRefusal(pages)
	}
	return err
}

// countOutcome counts the request once it has come back.
func (p *proxiedRequest) countOutcome() {
	switch word := p.outcome.label; word {
	case outcomeForwarded:
		p.provider.counters.forwarded.Inc()
		p.recordAdmission()
	case "":
		p.provider.counters.answered.Inc()
	default:
		requestsTotal.WithLabelValues(p.provider.name, word).Inc()
		switch {
		case word == outcomeWebSocket:
			p.recordAdmission()
		case p.transportRefusal != nil && word == string(p.transportRefusal.Code):
			stats := p.provider.refusals
			stats.recordRefused(p.transportRefusal, stats.personDigest(p.delegation.Person), zap.String("provider", p.provider.name))
		}
	}
}

// recordAdmission notes that somebody was let in. Public routes are open to anybody.
func (p *proxiedRequest) recordAdmission() {
	if !p.delegation.Public {
		p.provider.refusals.recordAdmission()
	}
}

// upstreamBody tells when the platform breaks off within its answer. What it
// says at the end is cleaned.
type upstreamBody struct {
	io.ReadCloser
	request *proxiedRequest
	res     *http.Response
}

func (b *upstreamBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	switch {
	case err == nil:
	case err == io.EOF:
		if mayHaveTrailers(b.res) {
			b.request.cleanTrailer(b.res.Trailer)
		}
	case b.request.Err() == nil: // else it is the client who broke off
		b.request.outcome.label = outcomeBrokenOff
	}
	return n, err
}

// clientErrorResponse answers a request whose body could not be read. As an error it
// would count against the upstream; a client's leaving does not.
func clientErrorResponse(req *http.Request, err error) (*http.Response, error) {
	if req.Context().Err() != nil {
		return nil, context.Canceled
	}
	// net/http's errors quote what came over the wire.
	refusal := delegation.Refuse(delegation.BodyIncomplete, errors.New("the client's body could not be read to its end"))
	handled, _ := errors.AsType[caddyhttp.HandlerError](err)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || handled.StatusCode == http.StatusRequestEntityTooLarge {
		refusal = delegation.Refuse(delegation.BodyTooLarge, nil) // by request_body
	}
	g := &Directive{ProxyStatusName: defaultStatusName, logger: zap.NewNop()}
	if p := proxiedRequestFrom(req.Context()); p != nil {
		g = p.directive
	}
	return g.refusalResponse(req, refusal), nil
}
