// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"net/netip"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/fair"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// validLife is for how long an address is remembered from which a session
	// came that was valid, and refusedAddressLife one from which none did.
	validLife          = time.Hour
	refusedAddressLife = 10 * time.Minute

	// maxRefusedSinceValid is how many credentials of an address may be refused
	// after one that was valid, until it is taken for one of which nothing is
	// known: one log-in must not let a flood go first.
	maxRefusedSinceValid = 16

	// maxRefusedNew is the same of one from which none was valid yet: somebody
	// has to sign in whose session has ended.
	maxRefusedNew = 3

	maxAddresses = 10_000
)

// Client tells from which address a request came, by its context; "" if that is
// not known. It decides in whose turn a credential is asked about that was not
// valid yet.
type Client func(context.Context) string

// of is the zero prefix if that is not known.
func (c Client) of(ctx context.Context) netip.Prefix {
	if c == nil {
		return netip.Prefix{}
	}
	ip, err := netip.ParseAddr(c(ctx))
	if err != nil {
		return netip.Prefix{}
	}
	return network(ip)
}

// network is what one client can send from: of IPv6, 64 bits are theirs.
func network(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits) // never fails
	return prefix
}

// reputations are what came from addresses lately. They order who waits, and
// refuse nobody. Anybody can send worthless credentials from any number of
// addresses: those are in a store of their own, and push no others out.
type reputations struct {
	good    *memory.Store[netip.Prefix, int] // credentials that were refused since one was valid
	refused *memory.Store[netip.Prefix, int] // of addresses from which none was
}

func newReputations() reputations {
	return reputations{memory.New[netip.Prefix, int](maxAddresses), memory.New[netip.Prefix, int](maxAddresses)}
}

func (r reputations) rank(client netip.Prefix) fair.Rank {
	name, now := client.String(), time.Now()
	if n, ok := r.good.Get(client, name, now); ok {
		if n < maxRefusedSinceValid {
			return fair.First
		}
		return fair.Middle
	}
	if n, _ := r.refused.Get(client, name, now); n > maxRefusedNew {
		return fair.Last
	}
	return fair.Middle
}

// valid notes that a credential from there was valid.
func (r reputations) valid(client netip.Prefix) {
	name := client.String()
	r.good.Set(client, name, 0, validLife, false)
	r.refused.Delete(client, name)
}

// worthless notes that one led to no session.
func (r reputations) worthless(client netip.Prefix) {
	name, now := client.String(), time.Now()
	if n, ok := r.good.Get(client, name, now); ok {
		r.good.Set(client, name, n+1, validLife, false)
		return
	}
	n, _ := r.refused.Get(client, name, now)
	r.refused.Set(client, name, n+1, refusedAddressLife, false)
}
