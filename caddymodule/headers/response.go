// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// removed are response headers by which a platform would act on the origin of
// the app, where it is only a guest.
var removed = set(
	// State and rules that outlast the answer.
	`set-cookie set-cookie2 clear-site-data strict-transport-security expect-ct
	 service-worker-allowed nel report-to reporting-endpoints alt-svc
	 accept-ch critical-ch set-login`+
		// A challenge makes the browser ask for a password of ours.
		` www-authenticate authentication-info proxy-authenticate proxy-authentication-info`+
		// Proxy-Status tells the app that a refusal is ours; the platform must not be able to say so.
		` proxy-status refresh server via timing-allow-origin`+
		// They override Cache-Control in a CDN (RFC 9213) or make a proxy in
		// front of us serve a file of its own.
		` cdn-cache-control surrogate-control x-accel-redirect x-accel-expires x-sendfile`,
	"access-control-", "public-key-pins",
)

// Clean makes the answer of a platform fit to be served from the app's
// origin, in place. It removes Set-Cookie, Access-Control-*,
// WWW-Authenticate, Clear-Site-Data, Strict-Transport-Security,
// Service-Worker-Allowed, Refresh, NEL, Report-To, Alt-Svc, Server, Via,
// Proxy-Status and their like, and sets
//
//	Cache-Control: private, no-store
//	X-Content-Type-Options: nosniff
//	Cross-Origin-Resource-Policy: same-origin
//
// Everything else passes, RateLimit-*, Retry-After, ETag and Content-* too.
func Clean(h http.Header) {
	// reverse_proxy removes what Connection names after us: the platform
	// could take back what is set here.
	upgrade := httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade")
	for name := range h {
		if !usual(name) && (removed.holds(name) || strings.EqualFold(name, "Connection")) {
			delete(h, name)
		}
	}
	if upgrade {
		h["Connection"] = []string{"Upgrade"}
	}
	set := []string{"private, no-store", "nosniff", "same-origin"} // of this answer alone: header_down changes values in place
	h["Cache-Control"] = set[0:1:1]
	h["X-Content-Type-Options"] = set[1:2:2]
	h["Cross-Origin-Resource-Policy"] = set[2:3:3]
}

// CleanTrailer removes from the trailers of an answer what [Clean] removes from
// its headers, in place.
func CleanTrailer(t http.Header) {
	for name := range t {
		if removed.holds(name) {
			delete(t, name)
		}
	}
}

// Clean1xx reduces an informational answer to its Link headers, in place.
func Clean1xx(h http.Header) {
	for name := range h {
		if name != "Link" {
			delete(h, name)
		}
	}
}
