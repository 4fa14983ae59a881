// SPDX-License-Identifier: Apache-2.0

// Package publicaddr keeps connections to the public internet. Whoever names a host,
// or answers for its name, could otherwise have this machine call what only this
// machine reaches: its own services, its neighbours, a cloud's metadata (server-side
// request forgery).
package publicaddr

import (
	"fmt"
	"net/netip"
	"syscall"
)

// Control is a [net.Dialer]'s Control that refuses an address that is not public. The
// dialer calls it with each address that it is about to connect to, after the look-up
// of its name: a name that leads elsewhere at the second look-up (DNS rebinding) is
// refused like one that always did. The error is a [*Error]; nothing is sent.
func Control(network, address string, _ syscall.RawConn) error {
	switch network {
	case "tcp4", "tcp6":
	default:
		return &Error{Address: network}
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil || !IsPublic(target.Addr()) {
		return &Error{Address: address}
	}
	return nil
}

// Error is the refusal of a connection.
type Error struct {
	// Address is the IP address and port that the host's name led to, or a network
	// that is not TCP.
	Address string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s is not a public address", e.Address)
}

// IsPublic reports whether an address is one of the public internet: none of the
// special-purpose registries of IANA (RFC 6890), and not Azure's WireServer, which has
// a public one. An IPv4 address inside of an IPv6 one counts as itself where a
// system connects to it (mapped; NAT64, RFC 6052), and is refused where the way to it is
// a tunnel (6to4, Teredo) or a translator of the local network (RFC 8215).
func IsPublic(a netip.Addr) bool {
	if a.Zone() != "" {
		return false // of one link; a prefix contains no address with a zone
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return a.Is4() || globalUnicast.Contains(a)
}

var (
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
	globalUnicast = netip.MustParsePrefix("2000::/3") // all that IANA has given out of IPv6
)

// notPublic are the networks that are not public: of IPv4, and of global unicast.
var notPublic = prefixes(
	"0.0.0.0/8",        // this network, unspecified
	"10.0.0.0/8",       // private (RFC 1918)
	"100.64.0.0/10",    // carrier-grade NAT; Alibaba's metadata
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // Azure's WireServer
	"169.254.0.0/16",   // link-local; most clouds' metadata
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // IETF protocol assignments; Oracle's metadata
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relays
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarking
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast

	"2001::/23",     // IETF protocol assignments, such as Teredo
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4
	"3fff::/20",     // documentation
)

func prefixes(texts ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		parsed[i] = netip.MustParsePrefix(text)
	}
	return parsed
}
