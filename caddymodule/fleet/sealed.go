// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"encoding/json"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/tuple"
)

// sealedToken is a token as Redis keeps it, before it is sealed.
type sealedToken struct {
	Access      []byte      `json:"access"` // bytes, because JSON replaces what is not UTF-8
	Scope       string      `json:"scope"`
	Minted      time.Time   `json:"minted"`
	Expires     time.Time   `json:"expires"`
	Generations generations `json:"purges"`
}

// generations are those of the purges that cover an identity, in the order of
// [delegation.Identity.Selections]. A generation is a random text, so that one that
// Redis has lost never comes back; "" means that there was no purge.
type generations [5]string

// purgedSince tells whether there was a purge since before. A generation that is
// gone is no purge: Redis has lost it.
func (g generations) purgedSince(before generations) bool {
	for i, now := range g {
		if now != "" && now != before[i] {
			return true
		}
	}
	return false
}

// sealToken seals a token with the generations that it was minted in. aad, the
// associated data, is its place in Redis.
func (f *Fleet) sealToken(t *delegation.Token, purges generations, aad []byte) ([]byte, error) {
	plain, err := json.Marshal(sealedToken{[]byte(t.Access.Reveal()), t.Scope, t.Minted, t.Expires, purges})
	if err != nil {
		return nil, err
	}
	return f.sealer.Seal(plain, aad)
}

// openToken opens a token. It returns nil if the value is not a token of this
// place, or was purged or has expired.
func (f *Fleet) openToken(sealed string, purges generations, aad []byte) *delegation.Token {
	if sealed == "" {
		return nil
	}
	var v sealedToken
	plain, err := f.sealer.Open([]byte(sealed), aad)
	if err == nil {
		err = json.Unmarshal(plain, &v)
	}
	if err != nil || v.Generations != purges || !time.Now().Before(v.Expires) {
		return nil
	}
	return &delegation.Token{Access: delegation.NewSecret(string(v.Access)), Scope: v.Scope, Minted: v.Minted, Expires: v.Expires}
}

// streamRecord is a purge or a revocation as the stream has it, before it is sealed.
type streamRecord struct {
	streamSelection
	At time.Time `json:"at"` // by the clock of the machine that was asked

	// Revocation is all that is revoked for a target; nil in a purge of tokens, and
	// in an entry of an earlier version.
	Revocation *session.Revocation `json:"revocation,omitempty"`
}

// sealStreamRecord seals an entry of the stream.
func (f *Fleet) sealStreamRecord(n streamRecord) (string, error) {
	plain, err := json.Marshal(n)
	if err != nil {
		return "", err
	}
	sealed, err := f.sealer.Seal(plain, tuple.Encode("purge"))
	return string(sealed), err
}

// openStreamRecord opens an entry of the stream. ok is false if it does not open.
func (f *Fleet) openStreamRecord(sealed string) (n streamRecord, ok bool) {
	plain, err := f.sealer.Open([]byte(sealed), tuple.Encode("purge"))
	if err == nil {
		err = json.Unmarshal(plain, &n)
	}
	return n, err == nil
}
