// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"fmt"
	"net/http"

	"golang.org/x/net/http/httpguts"
)

// ResponseFilter is the list of response headers that cross from a platform to a
// client. The zero value is what always crosses; it is safe for concurrent use.
type ResponseFilter struct {
	extra map[string]struct{}
}

// NewResponseFilter returns the list of what always crosses plus the names in forward,
// such as X-Total-Count. A name consists of letters, digits and hyphens; case
// does not matter. It is an error to repeat a name, or to name a header by
// which the platform would rule the app's origin, the page, or a cache in
// front of this server.
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

// Clean removes from the headers of an answer, in place, whatever is not on
// the list. With upgrade, which says that it is 101, the handshake's headers
// stay.
//
// Location, Content-Location and Link stay as they are: who knows the request
// has to judge them.
func (a *ResponseFilter) Clean(h http.Header, upgrade bool) {
	// reverse_proxy removes what Connection names after us: the platform
	// could take back what is set here.
	upgrade = upgrade && httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade")
	for name := range h {
		if _, ok := allowedInResponse[name]; ok {
			continue
		}
		if _, ok := webSocketResponse[name]; ok && upgrade {
			continue
		}
		if _, ok := a.extra[name]; !ok && !isRateLimit(name) {
			delete(h, name)
		}
	}
	if upgrade {
		h["Connection"] = []string{"Upgrade"}
	}
}

// Trailer removes from the trailers of an answer, in place, whatever is
// neither a digest of the content nor among the names given to [NewAnswer].
func (a *ResponseFilter) Trailer(t http.Header) { filterTrailers(t, a.extra) }

// Clean1xx reduces an informational answer to its Link headers, in place.
func Clean1xx(h http.Header) {
	for name := range h {
		if name != "Link" {
			delete(h, name)
		}
	}
}

// platformPolicy is the Content-Security-Policy of what a platform answers.
// Opened as a page, which any document or image can be, it has no origin, runs
// no script, submits nothing, loads nothing and stands in no other site's
// frame: it must not act as the app. Images, documents and downloads are shown.
const platformPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"

// SetPlatformHeaders sets what is said of every answer of a platform:
//
//	Cache-Control: private, no-store
//	X-Content-Type-Options: nosniff
//	Cross-Origin-Resource-Policy: same-origin
//	Content-Security-Policy: sandbox; …
//
// What anybody can have without a session, a public answer, may be shown by
// pages of any origin. A handshake's answer is no content and has no policy.
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

// OwnPolicy is the Content-Security-Policy of what this server answers by
// itself: it is no page.
const OwnPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"

// SetOwnHeaders sets what is said of every answer that this server makes by itself:
// it is kept nowhere, is what its Content-Type says, and is nothing that a page
// of another origin could load without CORS. Error pages of the operator's own
// are told so as well, so that [OwnPolicy] is not among it.
func SetOwnHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
