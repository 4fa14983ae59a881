// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"net/netip"
	"sync"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// PerAddress limits how often something fails from each address, as [PerPerson]
// limits people. All addresses of an IPv6 network of 64 bits are one: who has one of
// them has all. Safe for concurrent use.
type PerAddress struct {
	failures *PerPerson

	mu     sync.Mutex
	trying map[delegation.Person]int
}

// maxTrying is how much may be tried at once from one address, as long as nothing of
// it has failed: many people may share one.
const maxTrying = 200

// NewPerAddress returns a limiter that nobody has used.
func NewPerAddress() *PerAddress {
	return &PerAddress{failures: New(), trying: make(map[delegation.Person]int)}
}

// Begin tells whether something may be tried from an IP address: not while too much
// has failed from there, nor while 200 attempts are under way, which could otherwise
// all begin before the first has failed. If so, end is to be called at the end, after
// Record.
func (l *PerAddress) Begin(address string) (end func(), ok bool) {
	key := network(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trying[key] >= maxTrying || l.failures.Left(key) < 1 {
		return nil, false
	}
	l.trying[key]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.trying[key]--; l.trying[key] == 0 {
			delete(l.trying, key)
		}
	}, true
}

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
