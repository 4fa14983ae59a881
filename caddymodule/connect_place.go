// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// connectPlace is where a delegate_connect stands in a configuration. Its url is told by
// the operator, because no request's Host may decide where people are sent; so one that
// is another address than that of its site loads, and nobody who is sent there arrives.
type connectPlace struct {
	hosts  []string // of the site; nil: any, or not known
	prefix string   // that is taken off the path before it
	under  string   // the pattern that all paths match which come to it; "": any
	// unknown reports that something before it changes the path otherwise.
	unknown bool
}

// strip notes what a rewrite takes off the path; other reports that it does more.
func (p *connectPlace) strip(prefix string, other bool) {
	p.prefix += strings.TrimSuffix(prefix, "/")
	p.unknown = p.unknown || other || strings.Contains(prefix, "{")
}

// mismatch says how an address is another one than the place's; "" if it is not, or not
// known to be. A proxy in front may have another host and path than Caddy, so that it is
// no fault for certain.
func (p *connectPlace) mismatch(u *url.URL) string {
	if len(p.hosts) > 0 && !slices.ContainsFunc(p.hosts, func(host string) bool { return matchesHost(host, u.Hostname()) }) {
		return fmt.Sprintf("url has the host %s, and its site has %s: browsers keep cookies by host, so that who is sent there is not signed in; write the host that people open", u.Hostname(), strings.Join(p.hosts, ", "))
	}
	path := strings.TrimSuffix(u.Path, "/")
	switch prefix, all := strings.CutSuffix(p.under, "/*"); {
	case p.unknown || path == p.prefix:
		return ""
	case p.prefix == "" && all && prefix == path:
		return fmt.Sprintf("all paths that come to it begin with %s, and it knows none of them: write handle_path, which takes the prefix off, where handle stands", prefix)
	default:
		return fmt.Sprintf("url has the path %s, and it stands at %s: make them the same, or nobody arrives who is sent there", orSlash(path), orSlash(p.prefix))
	}
}

func orSlash(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// matchesHost reports whether a host is that of a matcher, as Caddy compares them: a
// label that is * stands for any one. What a placeholder stands for is not known.
func matchesHost(pattern, host string) bool {
	labels := func(name string) []string { return strings.Split(strings.ToLower(name), ".") }
	return strings.Contains(pattern, "{") || slices.EqualFunc(labels(pattern), labels(host), func(want, got string) bool { return want == "*" || want == got })
}

// checkConnectPlaces tells of each delegate_connect whose url is another address than the
// one that it stands at.
func (l *checkedConfig) checkConnectPlaces(provider string, tell func(delegation.Finding)) {
	for _, p := range l.handlers {
		if p.name() != "delegate_connect" || provider != "" && text(p.node, "provider") != provider {
			continue
		}
		c, err := l.loadConnect(&p)
		if err != nil {
			continue // which checkCallbacks tells
		}
		place := p.connectPlace()
		if mismatch := place.mismatch(c.baseURL); mismatch != "" {
			tell(delegation.Finding{Step: "url", OK: true, Warning: true, Detail: "delegate_connect " + c.Provider + ": " + mismatch + "; it is right where a proxy in front of Caddy has another address"})
		}
	}
}
