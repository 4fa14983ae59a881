// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/netip"
)

// parseRanges reads ranges of addresses, or single ones.
func parseRanges(texts []string) ([]netip.Prefix, error) {
	ranges := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		var err error
		if ranges[i], err = netip.ParsePrefix(text); err != nil {
			address, single := netip.ParseAddr(text)
			if single != nil {
				return nil, fmt.Errorf("callback_from %q: write a range such as 192.0.2.0/24, or an address", text)
			}
			ranges[i] = netip.PrefixFrom(address, address.BitLen())
		}
	}
	return ranges, nil
}

// inRanges tells whether an address is in one of the ranges.
func inRanges(ranges []netip.Prefix, text string) bool {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	for _, p := range ranges {
		if p.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}
