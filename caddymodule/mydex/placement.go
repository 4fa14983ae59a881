// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"errors"
	"net/url"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// The causes of route_denied. None of them repeats the path: there may be a person
// in it.
var (
	errJSONP        = errors.New(".jsonp hands a person's data to any page that loads it as a script: use .json")
	errEscaped      = errors.New("the path holds an escape, which no route of the platform has")
	errMemberNumber = errors.New("the path names a member by number: write me, such as /api/pds/pds/me.json")
	errNotMe        = errors.New("below /api/pds/pds and /api/pds/transaction there is only me, me.json and me.xml")
	errConsentRoute = errors.New("the route belongs to registering or connecting a member, which is not done in a member's name")
	errPathChanged  = errors.New("the path is not the one that was checked")
)

// me is the segment that the frontend writes where the uid goes.
const me = "me"

// IdentityPlacement says where on one request its member's identity goes. The zero
// IdentityPlacement is for no request: applying it is an error.
type IdentityPlacement struct {
	style  Style
	inPath bool // the last segment of the path is me, to be replaced by the uid
}

// Style is the style of the request's route.
func (p IdentityPlacement) Style() Style { return p.style }

// Placement checks the path of a request, as [policy.Canonical] has returned it and
// after the route policy has allowed it, and returns where the identity goes. The
// error is a [delegation.Refusal] route_denied. Refused are, whatever the style:
//
//   - below /api/pds/pds and /api/pds/transaction, anything but me, me.json
//     and me.xml: the frontend never says who it is;
//   - .jsonp;
//   - percent-encoded characters: a database that compares without accents and
//     case (MySQL's general collations) would take "pdś" for "pds";
//   - the routes of registration and first connection: /api/pds itself,
//     /api/connection, /access-token, /identify, /ftc and /members.
//
// A segment that is a number, or a number-number, is refused as well, unless a
// [Rule] says that the route is one of Blocks or None: it looks like somebody's uid
// or con_id.
func (s *Styles) Placement(method, canonicalPath string) (IdentityPlacement, error) {
	style, set := s.of(method, canonicalPath)
	p := IdentityPlacement{style: style}
	if err := checkPath(canonicalPath, style, set); err != nil {
		return IdentityPlacement{}, delegation.Refuse(delegation.RouteDenied, err)
	}
	rest, ok := cutDatasetRoute(canonicalPath)
	if ok && rest != "" || style == Datasets {
		p.inPath = isMe(canonicalPath[strings.LastIndexByte(canonicalPath, '/')+1:])
	}
	return p, nil
}

// checkPath returns the cause why a path is refused. set tells that a [Rule] has
// set the style.
func checkPath(path string, style Style, set bool) error {
	lower := strings.ToLower(path)
	switch {
	case strings.Contains(lower, ".jsonp"):
		return errJSONP
	case strings.Contains(path, "%"):
		return errEscaped
	case isConsentRoute(lower):
		return errConsentRoute
	}
	if rest, ok := cutDatasetRoute(path); ok && rest != "" && !isMe(rest[1:]) {
		return errNotMe
	}
	if set && style != Datasets {
		return nil
	}
	for segment := range strings.SplitSeq(path, "/") {
		if isMemberNumber(segment) {
			return errMemberNumber
		}
	}
	return nil
}

// cutDatasetRoute tells whether a path is a dataset route, and returns what comes
// behind the name of the route: "" or something that begins with a slash. Routers
// that keep their paths in a database compare without case, so this does too.
func cutDatasetRoute(path string) (rest string, ok bool) {
	for _, route := range [...]string{"/api/pds/pds", "/api/pds/transaction"} {
		if rest, ok = cutRoute(path, route); ok {
			return rest, true
		}
	}
	return "", false
}

// cutRoute cuts a route off the beginning of a path, whole segments only.
func cutRoute(path, route string) (rest string, ok bool) {
	if len(path) < len(route) || !strings.EqualFold(path[:len(route)], route) {
		return "", false
	}
	rest = path[len(route):]
	return rest, rest == "" || rest[0] == '/'
}

// isConsentRoute tells whether a path, in lower case, belongs to registering or
// connecting a member.
func isConsentRoute(lower string) bool {
	if strings.TrimSuffix(lower, "/") == "/api/pds" {
		return true // POST registers a new member
	}
	for _, route := range [...]string{"/api/connection", "/access-token", "/identify", "/ftc", "/members"} {
		if _, ok := cutRoute(lower, route); ok {
			return true
		}
	}
	return false
}

// isMe tells whether a segment is where the uid goes. The suffix chooses the format
// of the answer.
func isMe(segment string) bool {
	return segment == me || segment == me+".json" || segment == me+".xml"
}

// isMemberNumber tells whether a segment is a uid or a con_id, with or without a
// suffix.
func isMemberNumber(segment string) bool {
	name, _, _ := strings.Cut(segment, ".")
	first, second, two := strings.Cut(name, "-")
	return digits(first) && (!two || digits(second))
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// setPath puts the uid into the path. What the uid may be ([Member.Check]) needs no
// escaping.
func (p IdentityPlacement) setPath(u *url.URL, uid string) error {
	if u.Opaque != "" { // it would be sent instead of the path
		return errPathChanged
	}
	if !p.inPath {
		return nil
	}
	escaped := u.EscapedPath()
	raw, ok := replaceMe(escaped, uid)
	if !ok {
		return errPathChanged
	}
	path, ok := replaceMe(u.Path, uid)
	if !ok {
		return errPathChanged
	}
	u.Path, u.RawPath = path, raw
	return nil
}

func replaceMe(path, uid string) (string, bool) {
	at := strings.LastIndexByte(path, '/') + 1
	if at == 0 || !isMe(path[at:]) {
		return "", false
	}
	return path[:at] + uid + path[at+len(me):], true
}
