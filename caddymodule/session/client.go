// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"net/netip"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/fairqueue"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/lru"
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

// ClientAddress tells from which address a request came, by its context; "" if that is
// not known. It decides in whose turn a credential is asked about that was not
// valid yet.
type ClientAddress func(context.Context) string

// network is the zero prefix if that is not known.
func (c ClientAddress) network(ctx context.Context) netip.Prefix {
	if c == nil {
		return netip.Prefix{}
	}
	ip, err := netip.ParseAddr(c(ctx))
	if err != nil {
		return netip.Prefix{}
	}
	return networkOf(ip)
}

// networkOf is what one client can send from: of IPv6, 64 bits are theirs.
func networkOf(ip netip.Addr) netip.Prefix {
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
	valid       *lru.Cache[netip.Prefix, int] // credentials that were refused since one was valid
	onlyRefused *lru.Cache[netip.Prefix, int] // of addresses from which none was
}

func newNetworkReputations() networkReputations {
	return networkReputations{lru.New[netip.Prefix, int](maxNetworks), lru.New[netip.Prefix, int](maxNetworks)}
}

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
