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
// refuse nobody.
type reputations struct {
	store *memory.Store[netip.Prefix, reputation]
}

type reputation struct {
	valid   bool
	refused int // credentials, since one was valid
}

func newReputations() reputations {
	return reputations{memory.New[netip.Prefix, reputation](maxAddresses)}
}

func (r reputations) rank(client netip.Prefix) fair.Rank {
	known, _ := r.store.Get(client, client.String(), time.Now())
	switch {
	case known.valid && known.refused < maxRefusedSinceValid:
		return fair.First
	case known.valid || known.refused <= maxRefusedNew:
		return fair.Middle
	default:
		return fair.Last
	}
}

// record notes how a question about a credential from there ended.
func (r reputations) record(client netip.Prefix, valid bool) {
	name := client.String()
	known, _ := r.store.Get(client, name, time.Now())
	life := validLife
	switch {
	case valid:
		known = reputation{valid: true}
	case !known.valid:
		life = refusedAddressLife
		fallthrough
	default:
		known.refused++
	}
	r.store.Set(client, name, known, life, false)
}
