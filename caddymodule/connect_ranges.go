// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// parseRanges parses the address ranges (CIDR) and single addresses of
// callback_from, as Caddy's own remote_ip does.
func parseRanges(texts []string) ([]netip.Prefix, error) {
	ranges := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		var err error
		if ranges[i], err = caddyhttp.CIDRExpressionToPrefix(text); err != nil {
			return nil, fmt.Errorf("callback_from %q: write a range such as 192.0.2.0/24, or an address", text)
		}
	}
	return ranges, nil
}

// inRanges reports whether an IP address, also one of IPv4 written as IPv6, is
// in one of the ranges. A text that is no address is in none.
func inRanges(ranges []netip.Prefix, text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(address.Unmap()) })
}
