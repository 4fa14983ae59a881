// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// RequestFilter is the list of request headers that cross from a client to a
// platform. Make it with [New]; it is safe for concurrent use.
type RequestFilter struct {
	extra map[string]struct{}
}

// NewRequestFilter returns the list of what always crosses plus the names in forward, such
// as Idempotency-Key. A name consists of letters, digits and hyphens; case
// does not matter. It is an error to repeat a name, or to name a header that
// must not cross: cookies, Authorization, Origin, Referer, Host, Proxy-*,
// Sec-*, whatever tells where the request came from (Forwarded, Via,
// X-Forwarded-*, X-Real-IP), whatever belongs to one connection (Connection,
// TE, Upgrade) and whatever makes a server act on another method or URL
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

// parseNames reads the names of headers that an operator lets through.
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

// Filter returns a new header with what may cross from the client: Accept,
// Accept-*, Content-*, If-*, Range, User-Agent, Last-Event-ID (with which an
// EventSource takes up where it was), TE if it is about trailers, and the
// names given to [New]. The values are shared with in; appending to them is safe.
//
// With upgrade, which says that the policy allowed a WebSocket handshake, the
// result is one: Connection and Upgrade are set whatever the client wrote
// there, and Sec-WebSocket-* and the :protocol of an extended CONNECT
// (RFC 8441) are taken over.
func (a *RequestFilter) Filter(in http.Header, upgrade bool) http.Header {
	out := make(http.Header, 8) // most browsers send fewer that cross
	for name, values := range in {
		if a.allows(name) || upgrade && isHandshake(name) {
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

// allows judges a name as net/http delivers it, in canonical spelling. Any
// other spelling was not made by a server and does not cross.
func (a *RequestFilter) allows(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Accept-Language", "Content-Length", "Content-Type", "Range", "User-Agent", "Last-Event-Id":
		return true
	}
	for _, p := range [...]string{"Accept-", "Content-", "If-"} {
		if strings.HasPrefix(name, p) {
			return lettersAndHyphens(name)
		}
	}
	_, ok := a.extra[name]
	return ok
}

func isHandshake(name string) bool {
	return name == ":protocol" || webSocketRequest.contains(name) && lettersAndHyphens(name)
}

func acceptsTrailers(h http.Header) bool {
	return httpguts.HeaderValuesContainsToken(h["Te"], "trailers")
}

// Enforce returns the headers of the outgoing request without whatever must
// never cross: what a proxy adds on the way (X-Forwarded-*, Via, Early-Data) and what an
// operator's own rules put there (Authorization, Cookie). Other names that the
// operator set stay. It is the last step before the credential is set, for the
// copy that goes on the wire; the values are shared with in.
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

func validValues(values []string) bool {
	for _, v := range values {
		if !httpguts.ValidHeaderFieldValue(v) {
			return false
		}
	}
	return true
}

// Trailer removes from the trailers of a request, in place, whatever is neither
// a digest of the content nor among the names given to [New]. Some servers
// merge trailers into the headers, after all checks.
func (a *RequestFilter) Trailer(t http.Header) { filterTrailers(t, a.extra) }

// filterTrailers reduces trailers to those that may be one, or are named.
func filterTrailers(t http.Header, extra map[string]struct{}) {
	for name, values := range t {
		_, usual := allowedInTrailers[name]
		_, named := extra[name]
		if !usual && !named || !validValues(values) {
			delete(t, name)
		}
	}
}
