// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// RequestFilter is the allow-list of request headers that a client may send to
// a platform. Make it with [NewRequestFilter]; it is safe for concurrent use.
type RequestFilter struct {
	extra map[string]struct{}
}

// NewRequestFilter returns the list of the headers that are always allowed and
// those named in forward, such as Idempotency-Key. A name consists of letters,
// digits and hyphens; case does not matter. It is an error to repeat a name, or
// to name a header that is never allowed: Cookie, Authorization, Origin,
// Referer, Host, Proxy-*, Sec-*; headers with the user's address (Forwarded,
// Via, X-Forwarded-*, X-Real-IP); headers of one connection (Connection, TE,
// Upgrade); and headers that make a server act on another method or URL
// (X-HTTP-Method-Override, X-Original-URL, X-Rewrite-URL).
func NewRequestFilter(forward []string) (*RequestFilter, error) {
	extra, err := parseNames(forward, "Idempotency-Key", func(name string) error {
		if forbiddenInRequest.contains(name) {
			return fmt.Errorf("%s never crosses to a platform: remove it", http.CanonicalHeaderKey(name))
		}
		return nil
	})
	return &RequestFilter{extra}, err
}

// parseNames returns the set of the header names that an operator allows, in
// canonical spelling. check judges each; example stands in the error for an
// empty name.
func parseNames(names []string, example string, check func(string) error) (map[string]struct{}, error) {
	extra := make(map[string]struct{}, len(names))
	for _, name := range names {
		if name == "" {
			return nil, fmt.Errorf("the name of a header is empty: write one, such as %s, or remove it", example)
		}
		for _, c := range []byte(name) {
			if l := c | 0x20; (l < 'a' || l > 'z') && (c < '0' || c > '9') && c != '-' {
				return nil, fmt.Errorf("%q: the name of a header to forward has only letters, digits and hyphens; list every name by itself", name)
			}
		}
		if err := check(name); err != nil {
			return nil, err
		}
		canonical := http.CanonicalHeaderKey(name)
		if _, ok := extra[canonical]; ok {
			return nil, fmt.Errorf("%s is listed twice: remove one", canonical)
		}
		extra[canonical] = struct{}{}
	}
	return extra, nil
}

// Filter returns a new header with the allowed ones of a client's request:
// Accept, Accept-*, Content-*, If-*, Range, User-Agent, Last-Event-ID (by which
// an EventSource resumes), TE if it names trailers, and the names given to
// [NewRequestFilter]. The values are shared with in; appending to them is safe.
//
// With upgrade, which says that the policy allowed a WebSocket handshake, the
// result is one: Connection and Upgrade are set whatever the client sent in
// them, and Sec-WebSocket-* and the :protocol of an extended CONNECT (RFC 8441)
// are kept.
func (f *RequestFilter) Filter(in http.Header, upgrade bool) http.Header {
	out := make(http.Header, 8) // most browsers send fewer that cross
	for name, values := range in {
		if f.allows(name) || upgrade && isHandshake(name) {
			out[name] = slices.Clip(values)
		}
	}
	if acceptsTrailers(in) {
		out["Te"] = []string{"trailers"}
	}
	if upgrade {
		// What was judged is what is sent: no h2c under the name of WebSocket.
		out["Connection"] = []string{"Upgrade"}
		out["Upgrade"] = []string{"websocket"}
	}
	return out
}

// allows judges a name in canonical spelling, as net/http has it. Any other
// spelling was not made by a server and is not allowed.
func (f *RequestFilter) allows(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Accept-Language", "Content-Length", "Content-Type", "Range", "User-Agent", "Last-Event-Id":
		return true
	}
	for _, p := range [...]string{"Accept-", "Content-", "If-"} {
		if strings.HasPrefix(name, p) {
			return lettersAndHyphens(name)
		}
	}
	_, ok := f.extra[name]
	return ok
}

// isHandshake reports whether a header belongs to a WebSocket handshake, of
// HTTP/1.1 or, by :protocol, of HTTP/2 and 3.
func isHandshake(name string) bool {
	return name == ":protocol" || webSocketRequest.contains(name) && lettersAndHyphens(name)
}

// acceptsTrailers reports whether TE names trailers (RFC 9110 section 10.1.4).
func acceptsTrailers(h http.Header) bool {
	return httpguts.HeaderValuesContainsToken(h["Te"], "trailers")
}

// Enforce returns the headers of the outgoing request without those that must
// never reach the platform: those that a proxy adds (X-Forwarded-*, Via, Early-
// Data) and those that an operator's own rules set (Authorization, Cookie).
// Other headers that the operator set stay. It is the last step before the
// credential is set, for the copy that goes on the wire. The values are shared
// with in.
//
// A header that cannot be sent is removed as well. The HTTP client would fail
// with an error that counts against the upstream, so that anybody who gets a
// line break into an operator's placeholder could take it down for everyone.
func Enforce(in http.Header) http.Header {
	upgrade := len(in["Upgrade"]) == 1 && strings.EqualFold(in["Upgrade"][0], "websocket") &&
		httpguts.HeaderValuesContainsToken(in["Connection"], "upgrade")
	out := make(http.Header, 8)
	for name, values := range in {
		allowed := skipRules(name) || httpguts.ValidHeaderFieldName(name) &&
			(!forbiddenInRequest.contains(name) || upgrade && webSocketRequest.contains(name) && lettersAndHyphens(name))
		if allowed && validValues(values) {
			out[name] = slices.Clip(values)
		}
	}
	if acceptsTrailers(in) {
		out["Te"] = []string{"trailers"}
	}
	if upgrade {
		out["Connection"] = []string{"Upgrade"}
		out["Upgrade"] = []string{"websocket"}
	}
	return out
}

// validValues reports whether net/http can send all values.
func validValues(values []string) bool {
	for _, v := range values {
		if !httpguts.ValidHeaderFieldValue(v) {
			return false
		}
	}
	return true
}

// Trailer removes from the trailers of a request, in place, all but digests of
// the content and the names given to [NewRequestFilter]. Some servers merge
// trailers into the headers, after all checks.
func (f *RequestFilter) Trailer(t http.Header) { filterTrailers(t, f.extra) }

// filterTrailers removes trailers, in place, but those that are always allowed
// and those in extra. One that cannot be sent is removed as well.
func filterTrailers(t http.Header, extra map[string]struct{}) {
	for name, values := range t {
		_, always := allowedInTrailers[name]
		_, named := extra[name]
		if !always && !named || !validValues(values) {
			delete(t, name)
		}
	}
}
