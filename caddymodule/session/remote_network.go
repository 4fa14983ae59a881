// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/netip"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/fairqueue"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
)

const (
	// validNetworkLife is how long a network is remembered from which a valid credential
	// came, and refusedNetworkLife one from which none did.
	validNetworkLife   = time.Hour
	refusedNetworkLife = 10 * time.Minute

	// maxRefusedSinceValid is how many credentials of a network may be refused after a
	// valid one, until it ranks as one of which nothing is known: one login must not
	// let a flood go first.
	maxRefusedSinceValid = 16

	// maxRefusedNew is how many may be refused before any was valid, until the network
	// is last: somebody whose session has ended has to sign in.
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

// networkReputations rank networks by the credentials that came from them lately. They
// order who waits, and refuse nobody. Anybody can send invalid credentials from any
// number of networks: these are in a cache of their own, and push no others out.
type networkReputations struct {
	valid       *lru.Cache[netip.Prefix, int] // how many were refused since one was valid
	onlyRefused *lru.Cache[netip.Prefix, int] // how many were refused where none was valid
}

func newNetworkReputations() networkReputations {
	return networkReputations{lru.New[netip.Prefix, int](maxNetworks), lru.New[netip.Prefix, int](maxNetworks)}
}

// rank returns the rank of a network's calls.
func (r networkReputations) rank(client netip.Prefix) fairqueue.Rank {
	name, now := client.String(), time.Now()
	if n, ok := r.valid.Get(client, name, now); ok {
		if n < maxRefusedSinceValid {
			return fairqueue.RankFirst
		}
		return fairqueue.RankMiddle
	}
	if n, _ := r.onlyRefused.Get(client, name, now); n > maxRefusedNew {
		return fairqueue.RankLast
	}
	return fairqueue.RankMiddle
}

// recordValid records a valid credential from a network.
func (r networkReputations) recordValid(client netip.Prefix) {
	name := client.String()
	r.valid.Set(client, name, 0, validNetworkLife, false)
	r.onlyRefused.Delete(client, name)
}

// recordRefused records a credential from a network that led to no session.
func (r networkReputations) recordRefused(client netip.Prefix) {
	name, now := client.String(), time.Now()
	if n, ok := r.valid.Get(client, name, now); ok {
		r.valid.Set(client, name, n+1, validNetworkLife, false)
		return
	}
	n, _ := r.onlyRefused.Get(client, name, now)
	r.onlyRefused.Set(client, name, n+1, refusedNetworkLife, false)
}
