// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net"
	"net/http"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/neterror"
)

// The outcomes of requests besides the codes of refusals, as requests_total has
// them.
const (
	outcomeForwarded  = "forwarded"   // the platform answered
	outcomeWebSocket  = "websocket"   // the platform answered with a WebSocket, which has ended since
	outcomeBrokenOff  = "broken_off"  // the platform broke off within its response
	outcomeAnswered   = "answered"    // another handler answered, or delegate_token
	outcomeClientLeft = "client_left" // the client left before there was a response
)

// outcome is what has become of a request that was passed on. reverse_proxy may
// try more than once: the last time counts.
type outcome struct {
	label          string // empty: nothing was sent
	networkError   error  // why there is no response; nil if there is one
	upstreamChosen bool   // reverse_proxy asked for the upstream, and has sent nothing since
}

// reset notes that the request is about to be sent.
func (o *outcome) reset() { *o = outcome{} }

// record notes what came of sending the request.
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
// has not, or if it was another handler behind this one that did.
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
