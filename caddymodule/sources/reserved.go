// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// reservedAddress is an address of the vendor's that only this server may call: with
// the credential of a data call, or the browser's own parameters, an app could
// otherwise end consents or get tokens.
type reservedAddress struct {
	host string // with the port, as in a URL
	// path is divided at its slashes, as a careless server reads it. A segment "*"
	// is any one.
	path []string
	// readable lets GET and HEAD through: at /users/{id} a vendor may show a person
	// by GET, whom DELETE removes.
	readable bool
	// below has everything below the path be part of it.
	below bool
}

// reservedPaths returns the addresses of [Config.Reserve].
func (c *Config) reservedPaths() []reservedAddress {
	all := make([]reservedAddress, len(c.Reserve))
	for i, path := range c.Reserve {
		all[i] = reservedAddress{host: hostPort(c.API), path: readAsPath(path), below: true}
	}
	return all
}

// reserve returns the reserved address of a URL; ok is false if there is none.
func reserve(u *url.URL) (a reservedAddress, ok bool) {
	if u == nil {
		return a, false
	}
	return reservedAddress{host: hostPort(u), path: readAsPath(u.EscapedPath())}, true
}

// reserveCall returns the reserved address of a call; ok is false if there is none.
func reserveCall(c *Call) (a reservedAddress, ok bool) {
	if c == nil {
		return a, false
	}
	address, _, _ := strings.Cut(c.URL, "?")
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return a, false
	}
	host, path, _ := strings.Cut(rest, "/")
	a = reservedAddress{host: hostPort(&url.URL{Scheme: scheme, Host: host}), readable: c.Method != http.MethodGet}
	for _, segment := range readAsPath(path) {
		if strings.Contains(segment, "{") {
			segment = "*"
		}
		a.path = append(a.path, segment)
	}
	return a, true
}

// hostPort returns host and port of a URL, in lower case, and without the dot that a name
// may end with: both spellings are the same host.
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case strings.EqualFold(u.Scheme, "http"):
		port = "80"
	case strings.EqualFold(u.Scheme, "https"):
		port = "443"
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) + ":" + port
}

// readAsPath returns the segments of an escaped path as the most careless server reads
// them: unescaped, without case, parameters (;) and empty segments.
func readAsPath(escaped string) []string { return appendSegments(nil, escaped) }

// appendSegments is [readAsPath] behind what all has already.
func appendSegments(all []string, escaped string) []string {
	plain := escaped
	for range 2 { // a gateway may decode once more than the server behind it
		if once, err := url.PathUnescape(plain); err == nil {
			plain = once
		}
	}
	rest := strings.ReplaceAll(plain, `\`, "/")
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		segment, _, _ = strings.Cut(segment, ";")
		if segment != "" {
			all = append(all, strings.ToLower(segment))
		}
	}
	return all
}

// covers reports whether a request is for the address.
func (a *reservedAddress) covers(method, host string, path []string) bool {
	if a.host != host || len(a.path) > len(path) || len(a.path) < len(path) && !a.below || a.readable && (method == http.MethodGet || method == http.MethodHead) {
		return false
	}
	for i, segment := range a.path {
		if segment != "*" && segment != path[i] {
			return false
		}
	}
	return true
}

// checkTarget refuses a request for one of the source's reserved addresses, as
// route_denied, whatever the route policy says.
func (s *source) checkTarget(ctx context.Context, d *delegation.Delegation) error {
	rest, ok := s.upstream.CutMount(d.Path)
	if !ok {
		return delegation.Refuse(delegation.RouteDenied, errors.New("the path names a source and nothing below it"))
	}
	reserved, err := s.protocol.reserved(ctx)
	if err != nil {
		return err
	}
	var room [16]string // of which each data call has one: not on the heap
	var path []string   // read once, if the vendor has any such address at its API's host
	for i := range reserved {
		a := &reserved[i]
		if a.host != s.apiHost {
			continue
		}
		if path == nil {
			path = appendSegments(room[:0], s.upstream.Prefix+rest)
		}
		if a.covers(d.Method, s.apiHost, path) {
			return delegation.Refuse(delegation.RouteDenied, errors.New("the path is an address of the vendor's that only this server may call: remove it from the `allow` lines"))
		}
	}
	return nil
}
