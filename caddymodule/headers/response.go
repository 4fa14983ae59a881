// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"fmt"
	"net/http"

	"golang.org/x/net/http/httpguts"
)

// ResponseFilter is the allow-list of response headers that a platform may send
// to a client. The zero value is the list of those that are always allowed; it
// is safe for concurrent use.
type ResponseFilter struct {
	extra map[string]struct{}
}

// NewResponseFilter returns the list of the headers that are always allowed and
// those named in forward, such as X-Total-Count. A name consists of letters,
// digits and hyphens; case does not matter. It is an error to repeat a name, or
// to name a header by which the platform would control the app's origin, the
// page, or a cache in front of this server.
func NewResponseFilter(forward []string) (*ResponseFilter, error) {
	extra, err := parseNames(forward, "X-Total-Count", func(name string) error {
		canonical := http.CanonicalHeaderKey(name)
		if _, ok := allowedInResponse[canonical]; ok || isRateLimit(canonical) {
			return fmt.Errorf("%s crosses by itself: remove it", canonical)
		}
		if isForbiddenInResponse(name) {
			return fmt.Errorf("%s would let the platform speak for this server: remove it", canonical)
		}
		return nil
	})
	return &ResponseFilter{extra}, err
}

// Clean removes from the headers of a response, in place, all that are not on
// the list. With upgrade, which says that the status is 101, the headers of the
// handshake stay.
//
// The values of Location, Content-Location and Link are not judged: that takes
// the request.
func (f *ResponseFilter) Clean(h http.Header, upgrade bool) {
	// reverse_proxy, which runs later, removes the headers that Connection names:
	// by it the platform could remove headers that are set here.
	upgrade = upgrade && httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade")
	for name := range h {
		if _, ok := allowedInResponse[name]; ok {
			continue
		}
		if _, ok := webSocketResponse[name]; ok && upgrade {
			continue
		}
		if _, ok := f.extra[name]; !ok && !isRateLimit(name) {
			delete(h, name)
		}
	}
	if upgrade {
		h["Connection"] = []string{"Upgrade"}
	}
}

// Trailer removes from the trailers of a response, in place, all but digests of
// the content and the names given to [NewResponseFilter].
func (f *ResponseFilter) Trailer(t http.Header) { filterTrailers(t, f.extra) }

// Clean1xx removes from an informational response, in place, all headers but
// Link.
func Clean1xx(h http.Header) {
	for name := range h {
		if name != "Link" {
			delete(h, name)
		}
	}
}

// platformPolicy is the Content-Security-Policy of a platform's response.
// Opened as a page, as any document or image can be, the response has an opaque
// origin, runs no script, submits no form, loads nothing and is framed by no
// other site: it cannot act as the app. Images, documents and downloads are
// shown.
const platformPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"

// SetPlatformHeaders sets the headers that every response of a platform has:
//
//	Cache-Control: private, no-store
//	X-Content-Type-Options: nosniff
//	Cross-Origin-Resource-Policy: same-origin
//	Content-Security-Policy: sandbox; …
//
// A public response, which anybody can have without a session, is Cross-Origin-
// Resource-Policy: cross-origin. The response to a handshake has no content and
// so no policy.
func SetPlatformHeaders(h http.Header, public, upgrade bool) {
	set := []string{"private, no-store", "nosniff", "same-origin", platformPolicy} // of this answer alone: header_down changes values in place
	if public {
		set[2] = "cross-origin"
	}
	h["Cache-Control"] = set[0:1:1]
	h["X-Content-Type-Options"] = set[1:2:2]
	h["Cross-Origin-Resource-Policy"] = set[2:3:3]
	if !upgrade {
		h["Content-Security-Policy"] = set[3:4:4]
	}
}

// OwnPolicy is the Content-Security-Policy of the responses that this server
// makes itself. None is a page.
const OwnPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"

// SetOwnHeaders sets the headers that every response of this server's own has:
// it is not stored, is of the type that Content-Type says, and cannot be loaded
// by a page of another origin without CORS. The operator's error pages have
// them as well, and so [OwnPolicy] is not among them.
func SetOwnHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
