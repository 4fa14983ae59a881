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

	maxAddresses = 10_000
)

type clientKey struct{}

// WithClient returns a context that tells from which address the request came.
// It decides in whose turn a credential is asked about that was not valid yet.
func WithClient(ctx context.Context, address string) context.Context {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, clientKey{}, network(ip))
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

// clientOf is the zero prefix if that is not known.
func clientOf(ctx context.Context) netip.Prefix {
	client, _ := ctx.Value(clientKey{}).(netip.Prefix)
	return client
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
	known, ok := r.store.Get(client, client.String(), time.Now())
	switch {
	case known.valid && known.refused < maxRefusedSinceValid:
		return fair.First
	case known.valid || !ok:
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
