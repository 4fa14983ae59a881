// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// account is the part of an identity that all tokens of one source of a
// configured provider have in common.
type account struct {
	provider, source, issuer, client, key, audience, config string
}

// keys computes the cache keys of identities. The hash of the account, which is
// the same for nearly all requests, is computed once.
type keys struct {
	last atomic.Pointer[accountKey]
}

// accountKey is an account with its SHA-256.
type accountKey struct {
	account account
	sum     [sha256.Size]byte
}

// identityKey returns the SHA-256 over all parts of an identity, each with its
// length before it: no two identities are written alike, whatever characters
// their parts hold (CVE-2023-35941 was a key of joined parts).
func (k *keys) identityKey(id *delegation.Identity) string {
	var space [512]byte // enough for most, without an allocation
	b := append(space[:0], k.accountKey(id).sum[:]...)
	b = appendPart(b, id.Realm)
	b = appendPart(b, id.Subject)
	b = appendPart(b, id.Participant)
	for _, scope := range id.Scopes {
		b = appendPart(b, scope)
	}
	sum := sha256.Sum256(b)
	return string(sum[:])
}

// account returns the account of an identity, the same pointer for as many
// identities as possible.
func (k *keys) account(id *delegation.Identity) *account { return &k.accountKey(id).account }

func (k *keys) accountKey(id *delegation.Identity) *accountKey {
	a := accountOf(id)
	if last := k.last.Load(); last != nil && last.account == a {
		return last
	}
	var b []byte
	for _, part := range [...]string{a.provider, a.source, a.issuer, a.client, a.key, a.audience, a.config} {
		b = appendPart(b, part)
	}
	now := &accountKey{a, sha256.Sum256(b)}
	k.last.Store(now)
	return now
}

func accountOf(id *delegation.Identity) account {
	return account{id.Provider, id.Source, id.Issuer, id.Client, id.Key, id.Audience, id.Config}
}

func appendPart(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) //nolint:gosec // no setting or header is 4 GiB long
}
