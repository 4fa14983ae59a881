// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/netip"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/fair"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// validNetworkLife is for how long an address is remembered from which a session
	// came that was valid, and refusedAddressLife one from which none did.
	validNetworkLife   = time.Hour
	refusedNetworkLife = 10 * time.Minute

	// maxRefusedSinceValid is how many credentials of an address may be refused
	// after one that was valid, until it is taken for one of which nothing is
	// known: one log-in must not let a flood go first.
	maxRefusedSinceValid = 16

	// maxRefusedNew is the same of one from which none was valid yet: somebody
	// has to sign in whose session has ended.
	maxRefusedNew = 3

	maxNetworks = 10_000
)

// ClientNetwork returns the network that the client of an address can send from:
// one address of IPv4, a /64 of IPv6. It is the zero prefix if the address is none.
func ClientNetwork(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // never fails
	return prefix
}

// networkReputations are what came from addresses lately. They order who waits, and
// refuse nobody. Anybody can send worthless credentials from any number of
// addresses: those are in a store of their own, and push no others out.
type networkReputations struct {
	valid       *memory.Cache[netip.Prefix, int] // credentials that were refused since one was valid
	onlyRefused *memory.Cache[netip.Prefix, int] // of addresses from which none was
}

func newNetworkReputations() networkReputations {
	return networkReputations{memory.New[netip.Prefix, int](maxNetworks), memory.New[netip.Prefix, int](maxNetworks)}
}

func (r networkReputations) rank(client netip.Prefix) fair.Rank {
	name, now := client.String(), time.Now()
	if n, ok := r.valid.Get(client, name, now); ok {
		if n < maxRefusedSinceValid {
			return fair.RankFirst
		}
		return fair.RankMiddle
	}
	if n, _ := r.onlyRefused.Get(client, name, now); n > maxRefusedNew {
		return fair.RankLast
	}
	return fair.RankMiddle
}

// recordValid notes that a credential from there was valid.
func (r networkReputations) recordValid(client netip.Prefix) {
	name := client.String()
	r.valid.Set(client, name, 0, validNetworkLife, false)
	r.onlyRefused.Delete(client, name)
}

// recordRefused notes that one led to no session.
func (r networkReputations) recordRefused(client netip.Prefix) {
	name, now := client.String(), time.Now()
	if n, ok := r.valid.Get(client, name, now); ok {
		r.valid.Set(client, name, n+1, validNetworkLife, false)
		return
	}
	n, _ := r.onlyRefused.Get(client, name, now)
	r.onlyRefused.Set(client, name, n+1, refusedNetworkLife, false)
}
