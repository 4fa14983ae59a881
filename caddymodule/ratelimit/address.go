// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"net/netip"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// PerAddress limits how often something fails from each address, as [PerPerson]
// limits people. All addresses of an IPv6 network of 64 bits are one: who has one of
// them has all. Safe for concurrent use.
type PerAddress struct{ failures *PerPerson }

// NewPerAddress returns a limiter that nobody has used.
func NewPerAddress() *PerAddress { return &PerAddress{New()} }

// Spent tells whether too much has failed from an IP address. It counts nothing.
func (l *PerAddress) Spent(address string) bool { return l.failures.Left(network(address)) < 1 }

// Record counts a failure.
func (l *PerAddress) Record(address string) { l.failures.Allow(network(address)) }

// network is the key of an address; a text that is no address is its own.
func network(text string) delegation.Person {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return delegation.Person{Subject: text}
	}
	if address = address.Unmap().WithZone(""); address.Is6() {
		if prefix, err := address.Prefix(64); err == nil {
			return delegation.Person{Subject: prefix.String()}
		}
	}
	return delegation.Person{Subject: address.String()}
}
