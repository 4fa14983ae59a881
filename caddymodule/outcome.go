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
	"github.com/caddy-delegate/caddy-delegate/caddymodule/oauth"
)

// Outcomes of requests besides the codes of refusals.
const (
	forwarded  = "forwarded"   // the platform answered
	websocket  = "websocket"   // the same, with a WebSocket that has ended since
	brokenOff  = "broken_off"  // the platform broke off within its answer
	answered   = "answered"    // by another handler, or by delegate_token
	clientLeft = "client_left" // before there was an answer
)

// outcome is what has become of a request that was passed on. reverse_proxy may
// try more than once: the last time counts.
type outcome struct {
	word   string // empty: nothing was sent
	failed error  // why there is no answer; nil if there is one
	chosen bool   // reverse_proxy asked where to, and has sent nothing since
}

// begin notes that the request is about to be sent.
func (o *outcome) begin() { *o = outcome{} }

// end notes what came of it.
func (o *outcome) end(req *http.Request, res *http.Response, err error) {
	switch {
	case err != nil && req.Context().Err() != nil:
		o.word = clientLeft
	case err != nil:
		o.failed = err
	case o.word != "": // refused
	case res.StatusCode == http.StatusSwitchingProtocols:
		o.word = websocket
	default:
		o.word = forwarded
	}
}

// refusal is what to answer where reverse_proxy has failed with err; nil if it
// has not, or if it was another handler behind us that did.
func (o *outcome) refusal(r *http.Request, err error) *delegation.Refusal {
	switch {
	case err == nil || r.Context().Err() != nil:
		return nil
	case o.failed != nil && errors.Is(err, o.failed):
		code := delegation.UpstreamUnavailable
		if timeout, ok := o.failed.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as reverse_proxy's statusError
			code = delegation.UpstreamTimeout
		}
		return delegation.Refuse(code, errors.New(oauth.NetworkCause(o.failed)))
	case o.chosen:
		return delegation.Refuse(delegation.UpstreamDown, errors.New("reverse_proxy leaves the platform alone for a while, see its max_fails and fail_duration"))
	default:
		return nil
	}
}

// serve passes the request on, and answers where reverse_proxy has failed.
func (p *passage) serve(w http.ResponseWriter, r *http.Request, header http.Header, next caddyhttp.Handler) error {
	// A copy with only what may cross, so that whatever the operator's own
	// header_up adds behind us can be told from what the client sent.
	out := r.WithContext(p.within(r.Context()))
	out.Header = header
	defer p.count()
	pages := p.forErrorPages(w, r)
	err := next.ServeHTTP(pages, out)
	if p.outcome.word == "" && r.Context().Err() != nil {
		p.outcome.word = clientLeft
	}
	if refusal := p.outcome.refusal(r, err); refusal != nil {
		if err := p.gate.refuse(w, r.WithContext(p), refusal); err != nil {
			return err
		}
		// For Caddy's log of errors; that there is an answer already, it bears.
		return caddyhttp.Error(refusal.Status(), refusal)
	}
	if err == nil {
		err = caughtBy(pages)
	}
	return err
}

// count counts the request once it has come back.
func (p *passage) count() {
	switch word := p.outcome.word; word {
	case forwarded:
		p.provider.hot.forwarded.Inc()
		p.admitted()
	case "":
		p.provider.hot.answered.Inc()
	default:
		requestsTotal.WithLabelValues(p.provider.name, word).Inc()
		switch {
		case word == websocket:
			p.admitted()
		case p.refused != nil && word == string(p.refused.Code):
			stats := p.provider.refusals
			stats.refused(p.refused, stats.person(p.delegation.Person), zap.String("provider", p.provider.name))
		}
	}
}

// admitted notes that somebody was let in. Public routes are open to anybody.
func (p *passage) admitted() {
	if !p.delegation.Public {
		p.provider.refusals.admitted()
	}
}

// watchedBody tells when the platform breaks off within its answer. What it
// says at the end is cleaned.
type watchedBody struct {
	io.ReadCloser
	passage *passage
	res     *http.Response
}

func (b *watchedBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	switch {
	case err == nil:
	case err == io.EOF:
		if mayTrail(b.res) {
			b.passage.cleanTrailer(b.res.Trailer)
		}
	case b.passage.Err() == nil: // else it is the client who broke off
		b.passage.outcome.word = brokenOff
	}
	return n, err
}

// clientFailed answers a request whose body could not be read. As an error it
// would count against the upstream; a client's leaving does not.
func clientFailed(req *http.Request, err error) (*http.Response, error) {
	if req.Context().Err() != nil {
		return nil, context.Canceled
	}
	// net/http's errors quote what came over the wire.
	refusal := delegation.Refuse(delegation.BodyIncomplete, errors.New("the client's body could not be read to its end"))
	handled, _ := errors.AsType[caddyhttp.HandlerError](err)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || handled.StatusCode == http.StatusRequestEntityTooLarge {
		refusal = delegation.Refuse(delegation.BodyTooLarge, nil) // by request_body
	}
	g := &Gate{ProxyStatusName: defaultStatusName, logger: zap.NewNop()}
	if p := passageFrom(req.Context()); p != nil {
		g = p.gate
	}
	return g.response(req, refusal), nil
}
