// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/url"
	"strings"
)

// Mount is where on this server the paths of a platform are, for one forwarded
// request.
type Mount struct {
	// Scheme, Host and Prefix are those of the platform's base URL.
	Scheme, Host, Prefix string

	// Cut is what the provider has cut off the front of the canonical path
	// before Prefix was put there: "" or /x.
	Cut string

	// Path is the forwarded path, below Prefix, as [Canonical] returned it, without
	// Cut.
	Path string

	// Received is the escaped path as the client sent it, and Forwarded what
	// handle_path and the like have left of it: what they took off the front, and
	// Cut behind it, is where the platform is mounted.
	Received, Forwarded string
}

// LocalURL returns a reference in the platform's answer, such as a redirect's, as a
// URL of this server. ok is false if it may lead anywhere else than to the
// platform's own paths below the mount, however a browser reads it (RFC 3986
// section 5, WHATWG URL): to another host, scheme or port, to a path that is not
// below the base path, or to one that [Canonical] refuses. So are an absolute path
// with dot segments, and a relative one that climbs out of the mount.
func (m Mount) LocalURL(reference string) (local string, ok bool) {
	// Browsers read a backslash as a slash, cut blanks off, and leave tabs and
	// line breaks out.
	if strings.ContainsFunc(reference, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }) {
		return "", false
	}
	u, err := url.Parse(reference)
	if err != nil || u.Opaque != "" || u.User != nil {
		return "", false
	}
	mounted, ok := m.mountPath()
	escaped := u.EscapedPath()
	switch {
	case u.Scheme == "" && u.Host == "" && escaped == "":
		return u.String(), !strings.HasPrefix(reference, "/") // of this very path
	case !ok, u.Host == "" && (u.Scheme != "" || strings.HasPrefix(reference, "//")), u.Host != "" && !m.isUpstream(u):
		return "", false
	case u.Host != "" || strings.HasPrefix(escaped, "/"):
		if escaped, ok = strings.CutPrefix(orRoot(escaped), m.Prefix+"/"); !ok || strings.HasPrefix(escaped, "/") {
			return "", false
		}
		escaped = "/" + escaped
	default:
		if escaped, ok = resolveRelative(m.Path, escaped); !ok {
			return "", false
		}
	}
	path, err := Canonical(escaped)
	if err != nil {
		return "", false
	}
	if u.Host == "" && !strings.HasPrefix(u.Path, "/") {
		// As it is, if it leads the client to the same place.
		if same, ok := resolveRelative(m.Received, u.EscapedPath()); ok && same == mounted+path {
			return u.String(), true
		}
	}
	out := url.URL{RawQuery: u.RawQuery, ForceQuery: u.ForceQuery, Fragment: u.Fragment, RawFragment: u.RawFragment}
	return mounted + path + out.String(), true
}

// mountPath returns where the platform is mounted: "" or /x without a trailing slash.
// ok is false if the path was rewritten otherwise than by taking off its front.
func (m Mount) mountPath() (string, bool) {
	mounted, ok := strings.CutSuffix(m.Received, m.Forwarded)
	if !ok || mounted == "" {
		return m.Cut, ok
	}
	// One spelling: a browser reads //x as a host.
	mounted, err := Canonical(mounted)
	return strings.TrimSuffix(mounted, "/") + m.Cut, err == nil
}

// isUpstream reports whether an absolute URL is on the platform's host.
func (m Mount) isUpstream(u *url.URL) bool {
	if u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	scheme := u.Scheme
	if scheme == "" {
		scheme = m.Scheme
	}
	host := url.URL{Scheme: scheme, Host: u.Host}
	own := url.URL{Scheme: m.Scheme, Host: m.Host}
	_, asked, _ := strings.Cut(serializeOrigin(&host), "://")
	_, owned, _ := strings.Cut(serializeOrigin(&own), "://")
	return asked == owned
}

func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// resolveRelative returns a relative path merged with that of a request (RFC 3986
// section 5.2). ok is false for a path that climbs above the root, and for a
// segment that [Canonical] refuses, even if a later ".." removes it: browsers may
// read it as ".." itself, such as %2e%2e.
func resolveRelative(base, relative string) (string, bool) {
	base = base[:strings.LastIndexByte(base, '/')+1]
	segments := strings.Split(strings.TrimSuffix(base, "/"), "/")
	parts := strings.Split(relative, "/")
	for i, part := range parts {
		switch {
		case part != "." && part != "..":
			if _, err := Canonical("/" + part); err != nil {
				return "", false
			}
			segments = append(segments, part)
			continue
		case part == ".." && len(segments) < 2:
			return "", false
		case part == "..":
			segments = segments[:len(segments)-1]
		}
		if i == len(parts)-1 {
			segments = append(segments, "")
		}
	}
	return strings.Join(segments, "/"), true
}
