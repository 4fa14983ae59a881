// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// key names an identity. Every part goes in with its length, so that no two
// different identities are ever written the same way, whatever characters
// their parts hold.
func key(id *delegation.Identity) string {
	h := sha256.New()
	for _, part := range [...]string{
		id.Provider, id.Issuer, id.Client, id.Key, id.Realm, id.Subject,
		id.Participant, id.Audience, id.Config,
	} {
		writePart(h, part)
	}
	for _, scope := range id.Scopes {
		writePart(h, scope)
	}
	return string(h.Sum(nil))
}

func writePart(h hash.Hash, s string) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(s)))
	h.Write(length[:])
	h.Write([]byte(s))
}

// same compares two identities field by field. A hit is served only if the
// whole tuple agrees, not merely its hash.
func same(a, b *delegation.Identity) bool {
	return a.Provider == b.Provider && a.Issuer == b.Issuer && a.Client == b.Client && a.Key == b.Key &&
		a.Person == b.Person && a.Participant == b.Participant && a.Audience == b.Audience &&
		a.Config == b.Config && slices.Equal(a.Scopes, b.Scopes)
}
