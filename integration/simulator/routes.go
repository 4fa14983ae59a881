// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// splitPath reads a path as the platform does: empty segments do not count,
// dot segments are resolved, encoded slashes stay inside their segment.
func splitPath(u *url.URL) []string {
	var segments []string
	for s := range strings.SplitSeq(u.EscapedPath(), "/") {
		if d, err := url.PathUnescape(s); err == nil {
			s = d
		}
		switch s {
		case "", ".":
		case "..":
			segments = segments[:max(0, len(segments)-1)]
		default:
			segments = append(segments, s)
		}
	}
	return segments
}

func areaOf(segments []string) string {
	at := func(i int, word string) bool { return i < len(segments) && strings.EqualFold(segments[i], word) }
	switch {
	case at(0, "identityserver") && at(1, "connect"):
		return areaToken
	case at(0, "_files"):
		return areaFiles
	case find(pageRoutes, segments, nil) != nil:
		return areaPages
	case !at(0, "api"):
		return areaOther
	case find(publicRoutes, segments, nil) != nil:
		return areaPublic
	case at(2, "administration"):
		return areaAdmin
	case at(2, "delegated"), at(1, "cfhrprovideraccounts"):
		return areaDelegated
	}
	return areaOther
}

// route is one line of a routing table.
type route struct {
	method  string   // empty: any
	pattern []string // lower case; * stands for one segment
	scope   string   // empty: any token
	handle  func(*call)
}

func to(method, pattern, scope string, handle func(*call)) route {
	return route{method, strings.Split(strings.ToLower(pattern), "/"), scope, handle}
}

// match returns what the wildcards stand for.
func (r *route) match(segments []string) (args []string, ok bool) {
	if len(segments) != len(r.pattern) {
		return nil, false
	}
	for i, p := range r.pattern {
		switch {
		case p == "*":
			args = append(args, segments[i])
		case !strings.EqualFold(p, segments[i]):
			return nil, false
		}
	}
	return args, true
}

// find returns the first route for the path, that of the call's method if there is one.
func find(routes []route, segments []string, c *call) (found *route) {
	for i := range routes {
		r := &routes[i]
		args, ok := r.match(segments)
		if !ok {
			continue
		}
		if c == nil {
			return r
		}
		if r.serves(c.Method) {
			c.args = args
			return r
		}
	}
	return nil
}

func (r *route) serves(method string) bool {
	return r.method == "" || r.method == method || r.method == http.MethodGet && method == http.MethodHead
}

// pick returns the route of the call, or answers 404 or 405.
func (c *call) pick(routes []route) *route {
	if r := find(routes, c.segments, c); r != nil {
		return r
	}
	var allow []string
	for i := range routes {
		if _, ok := routes[i].match(c.segments); ok && !slices.Contains(allow, routes[i].method) {
			allow = append(allow, routes[i].method)
		}
	}
	if allow == nil {
		c.fail(http.StatusNotFound, "no such resource")
		return nil
	}
	c.w.Header().Set("Allow", strings.Join(allow, ", "))
	c.fail(http.StatusMethodNotAllowed, "this resource does not know the method")
	return nil
}

func (c *call) dispatch(routes []route) {
	if r := c.pick(routes); r != nil {
		r.handle(c)
	}
}
