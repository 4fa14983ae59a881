// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/http"
	"strings"
)

// exposedHeaders are the response headers that scripts of a trusted origin may read
// besides the safelisted ones (Access-Control-Expose-Headers).
const exposedHeaders = "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, Proxy-Status, " +

	"Accept-Ranges, Allow, Content-Disposition, Content-Range, ETag, Link, Location, X-Request-Id"

// preflightMethods are the methods that scripts of a trusted origin may use
// (Access-Control-Allow-Methods). Whether the route allows them the policy
// decides, of the request itself.
const preflightMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"

// SetCORSHeaders sets the CORS headers of an answer to r. Refusals need them too:
// without them a script of a trusted origin cannot read why it was refused.
// Without trusted origins it sets nothing.
func (o *Origins) SetCORSHeaders(h http.Header, r *http.Request) {
	if len(o.trusted) == 0 {
		return
	}
	addVary(h, "Origin")
	if !o.Trusted(r) {
		return
	}
	h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
}

// IsPreflight reports whether r is a CORS preflight, which carries no session.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) > 0 && r.Header.Get("Access-Control-Request-Method") != ""
}

// AnswerPreflight answers a preflight from a trusted origin with 204 and returns
// true. For any other request it writes nothing and returns false.
//
// Every header that was asked for is allowed, because few of them are forwarded to
// the platform anyway. Browsers may keep the answer for ten minutes.
func (o *Origins) AnswerPreflight(w http.ResponseWriter, r *http.Request) bool {
	if !IsPreflight(r) || !o.Trusted(r) {
		return false
	}
	h := w.Header()
	o.SetCORSHeaders(h, r)
	addVary(h, "Access-Control-Request-Method")
	addVary(h, "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", preflightMethods)
	if asked := strings.Join(r.Header["Access-Control-Request-Headers"], ", "); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// addVary adds a name to the Vary header, once.
func addVary(h http.Header, name string) {
	for _, values := range h["Vary"] {
		for v := range strings.SplitSeq(values, ",") {
			if strings.EqualFold(strings.TrimSpace(v), name) {
				return
			}
		}
	}
	h.Add("Vary", name)
}
