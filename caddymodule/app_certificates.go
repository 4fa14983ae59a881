// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/status"
)

// certificates returns the certificates that the running Caddy has for the hosts
// of its sites, sorted by host; of several the one that ends last, as that is what
// a renewal leaves behind.
func (*App) certificates() (all []status.Certificate) {
	mod, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return nil
	}
	hosts := make(map[string]struct{})
	for _, server := range mod.(*caddyhttp.App).Servers {
		for _, route := range server.Routes {
			for _, host := range routeHosts(route) {
				hosts[host] = struct{}{}
			}
		}
	}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		best := status.Certificate{Host: host}
		for _, c := range caddytls.AllMatchingCertificates(host) {
			if c.Leaf != nil && c.Leaf.NotAfter.After(best.Ends) {
				best.Begins, best.Ends = c.Leaf.NotBefore.UTC(), c.Leaf.NotAfter.UTC()
			}
		}
		if !best.Ends.IsZero() {
			all = append(all, best)
		}
	}
	return all
}

// routeHosts are the hosts by which a route is chosen, without those that have
// placeholders.
func routeHosts(route caddyhttp.Route) (hosts []string) {
	for _, set := range route.MatcherSets {
		for _, matcher := range set {
			switch m := matcher.(type) {
			case caddyhttp.MatchHost:
				hosts = append(hosts, m...)
			case *caddyhttp.MatchHost:
				hosts = append(hosts, *m...)
			}
		}
	}
	return slices.DeleteFunc(hosts, func(host string) bool { return strings.Contains(host, "{") })
}
