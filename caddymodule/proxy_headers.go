// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/headers"
)

// ForwardedHeaders say which headers cross besides the usual ones.
type ForwardedHeaders struct {
	// ForwardHeaders are request headers and trailers of the client that cross
	// to the platform besides the usual ones. Cookies, Authorization, Origin,
	// Referer, Sec-* and forwarding headers never do.
	ForwardHeaders []string `json:"forward_headers,omitempty"`

	// ForwardResponseHeaders are response headers and trailers of the platform
	// that reach the client besides the usual ones, such as X-Total-Count. What
	// rules the app's origin, the page, or a cache in front of Caddy never does.
	ForwardResponseHeaders []string `json:"forward_response_headers,omitempty"`

	requestHeaders  *headers.RequestFilter
	responseHeaders *headers.ResponseFilter
}

func (f *ForwardedHeaders) provision() error {
	var err error
	if f.requestHeaders, err = headers.NewRequestFilter(f.ForwardHeaders); err != nil {
		return fmt.Errorf("forward_headers: %w", err)
	}
	if f.responseHeaders, err = headers.NewResponseFilter(f.ForwardResponseHeaders); err != nil {
		return fmt.Errorf("forward_response_headers: %w", err)
	}
	return nil
}

// parse reads one subdirective. ok is false if it is none of these.
func (f *ForwardedHeaders) parse(d *caddyfile.Dispenser) (ok bool, err error) {
	word, args := d.Val(), &f.ForwardHeaders
	switch word {
	case "forward_headers":
	case "forward_response_headers":
		args = &f.ForwardResponseHeaders
	default:
		return false, nil
	}
	names := d.RemainingArgs()
	if len(names) == 0 {
		return true, d.Errf("%s needs the names of headers", word)
	}
	*args = append(*args, names...)
	if err := f.provision(); err != nil {
		return true, d.WrapErr(err)
	}
	return true, nil
}
