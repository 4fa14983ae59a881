// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var (
	errOriginRepeated = errors.New("Origin or Sec-Fetch-Site stands in the request twice")
	errOriginNull     = errors.New("Origin is null: a sandboxed frame, a local file or a redirect")
	errCrossSite      = errors.New("sent from a page of another origin that is not among trusted_origins")
	errNavigation     = errors.New("opened, or put into a frame, by a page of another origin")
	errServiceWorker  = errors.New("asked for as a service worker's script, which would answer for the app")
	errUpgradeOrigin  = errors.New("an upgrade needs an Origin that is this server's or among trusted_origins")
	errUpgradeProgram = errors.New("an upgrade with a cookie has no Origin: a program's, which has to send this server's origin, or its session as a bearer")
)

// Origins is the cross-site check: it tells requests of the app's own pages from
// those that a page of another site made the user's browser send. It also answers
// CORS preflights. Make it with [NewOrigins]; it is safe for concurrent use.
type Origins struct {
	protection *http.CrossOriginProtection
	trusted    map[string]struct{}
}

// NewOrigins returns the check for the server's own origin and the trusted
// ones. A trusted origin is written as browsers send it: scheme://host or
// scheme://host:port in lower case, without the scheme's default port, path
// or wildcard; https, http on a loopback host, or an app shell's own scheme, such
// as capacitor://localhost.
func NewOrigins(trusted []string) (*Origins, error) {
	o := &Origins{
		protection: http.NewCrossOriginProtection(),
		trusted:    make(map[string]struct{}, len(trusted)),
	}
	for _, origin := range trusted {
		if err := checkOriginSyntax(origin); err != nil {
			return nil, err
		}
		if _, ok := o.trusted[origin]; ok {
			return nil, fmt.Errorf("origin %s is listed twice: remove one", origin)
		}
		o.trusted[origin] = struct{}{}
		if err := o.protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// checkOriginSyntax returns an error that says how to write a trusted origin.
func checkOriginSyntax(origin string) error {
	switch {
	case origin == "":
		return errors.New("an origin is empty: write one such as https://app.example.org")
	case origin == "null":
		return errors.New("origin null is every sandboxed page: it cannot be trusted, remove it")
	case strings.Contains(origin, "*"):
		return fmt.Errorf("origin %s: there are no wildcards, list every origin by itself", origin)
	case strings.Contains(origin, "@"):
		return errors.New("an origin has neither user nor password: write it as scheme://host")
	}
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || strings.ContainsFunc(u.Host, isNotHostRune) {
		return fmt.Errorf("origin %q: write it as scheme://host in ASCII, such as https://app.example.org", origin)
	}
	if u.Scheme == "http" && !isLoopbackOrigin(u.Hostname()) {
		return fmt.Errorf("origin %s: use https; http is for loopback only", origin)
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		if u.Scheme == "" || slices.Contains(schemesWithoutOrigin, u.Scheme) {
			return fmt.Errorf("origin %q: the scheme must be https, or an app shell's own as in capacitor://localhost", origin)
		}
		if u.Host != u.Hostname() {
			return fmt.Errorf("origin %q: an app shell's origin has no port: write %s://%s", origin, u.Scheme, u.Hostname())
		}
	}
	if want := serializeOrigin(u); origin != want {
		return fmt.Errorf("origin %q is not written as browsers send it: write %s", origin, want)
	}
	return nil
}

// schemesWithoutOrigin are schemes that never stand in an Origin header: pages that
// they load have the origin null, or they load no pages. One of them in the
// settings is a mistake, and the pages that were meant would not work.
var schemesWithoutOrigin = []string{"about", "blob", "data", "file", "filesystem", "ftp", "javascript", "mailto", "urn", "view-source", "ws", "wss"}

// serializeOrigin returns the origin of a URL as browsers write it (RFC 6454
// section 6.2).
func serializeOrigin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// isLoopbackOrigin is [delegation.IsLoopback] as browsers see it, for which all
// names below localhost are this machine too (RFC 6761 section 6.3). A server's
// resolver may ask DNS for them, so addresses that it calls are judged without.
func isLoopbackOrigin(host string) bool {
	return strings.HasSuffix(host, ".localhost") || delegation.IsLoopback(host)
}

// Check refuses, with cross_origin, a request that a page of another origin sent.
// It is for sessions that a browser adds by itself, such as a cookie.
//
// [http.CrossOriginProtection] lets GET, HEAD and OPTIONS pass, because they
// change nothing. Here they answer with health data, so all methods are judged
// alike: by Sec-Fetch-Site, or by Origin where the browser does not send it.
// A request with neither is not a browser's. An upgrade needs an Origin,
// because the same-origin policy does not keep other pages from reading a
// WebSocket.
func (o *Origins) Check(r *http.Request, upgrade bool) *delegation.Refusal {
	origin := r.Header["Origin"]
	if len(origin) > 1 || len(r.Header["Sec-Fetch-Site"]) > 1 {
		return delegation.Refuse(delegation.CrossOrigin, errOriginRepeated)
	}
	if len(origin) == 1 && origin[0] == "null" {
		return delegation.Refuse(delegation.CrossOrigin, errOriginNull)
	}
	if upgrade && len(origin) == 0 {
		return delegation.Refuse(delegation.CrossOrigin, errUpgradeProgram).
			WithMessage("A WebSocket with a session cookie has to name its page in the header Origin. Programs send it as well, or their session as a bearer.")
	}
	if upgrade && !o.Trusted(r) && !sameOrigin(r) {
		return delegation.Refuse(delegation.CrossOrigin, otherHost(errUpgradeOrigin, r))
	}
	// Without Sec-Fetch-Site it would compare the hosts alone, and a page of
	// http://app.example.org can be anybody's on the way.
	if len(origin) == 1 && len(r.Header["Sec-Fetch-Site"]) == 0 && !o.Trusted(r) && !sameOrigin(r) {
		return delegation.Refuse(delegation.CrossOrigin, otherHost(errCrossSite, r))
	}
	// POST stands for "not known to be safe".
	if err := o.protection.Check(&http.Request{Method: http.MethodPost, Header: r.Header, Host: r.Host}); err != nil {
		return delegation.Refuse(delegation.CrossOrigin, errCrossSite)
	}
	return nil
}

// CheckServiceWorker refuses, with route_denied, a request for the script of a
// service worker: a script of the platform's would answer every later request of
// the app, until long after whoever registered it is gone. No page can leave out
// the headers that tell (Fetch section 3.5, Service Workers 1).
func CheckServiceWorker(r *http.Request) *delegation.Refusal {
	if len(r.Header["Service-Worker"]) > 0 || slices.Contains(r.Header["Sec-Fetch-Dest"], "serviceworker") {
		return delegation.Refuse(delegation.RouteDenied, errServiceWorker)
	}
	return nil
}

// CheckPublic refuses, with cross_origin, a navigation from a page of another origin
// to a public route, in a window or a frame: the answer would stand under this
// server's name. What such a page loads as an image or by a script is public, and
// allowed.
func (o *Origins) CheckPublic(r *http.Request) *delegation.Refusal {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" && slices.Contains(r.Header["Sec-Fetch-Mode"], "navigate") {
			return delegation.Refuse(delegation.CrossOrigin, errNavigation)
		}
	}
	return nil
}

// Trusted reports whether the request's Origin is a trusted one.
func (o *Origins) Trusted(r *http.Request) bool {
	origin := r.Header["Origin"]
	if len(origin) != 1 {
		return false
	}
	_, ok := o.trusted[origin[0]]
	return ok
}

// sameOrigin reports whether the request's Origin is this server's. Without TLS
// here, a proxy in front may have ended it, so either scheme may be this server's.
func sameOrigin(r *http.Request) bool {
	origin := r.Header["Origin"]
	if len(origin) != 1 {
		return false
	}
	u, err := url.Parse(origin[0])
	if err != nil || u.Host == "" || serializeOrigin(u) != origin[0] {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) && (u.Scheme == "https" || u.Scheme == "http" && r.TLS == nil)
}
