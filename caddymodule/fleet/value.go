// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// sealedToken is a token as Redis keeps it, before it is sealed.
type sealedToken struct {
	Access      []byte      `json:"access"` // bytes, because JSON mends what is not UTF-8
	Scope       string      `json:"scope"`
	Minted      time.Time   `json:"minted"`
	Expires     time.Time   `json:"expires"`
	Generations generations `json:"purges"`
}

// generations are those of the purges that cover an identity, in the order of
// [delegation.Identity.Selections]. A generation is a random text, so that one
// that Redis has lost never comes back; "" means that there was no purge.
type generations [5]string

// purgedSince tells whether somebody has purged in between. A generation that
// is gone is no purge: Redis has lost it.
func (g generations) purgedSince(before generations) bool {
	for i, now := range g {
		if now != "" && now != before[i] {
			return true
		}
	}
	return false
}

// associated binds a sealed value to the place where it is kept.
func associated(parts ...string) []byte {
	var b []byte
	for _, part := range parts {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(part))), part...)
	}
	return b
}

func (f *Fleet) sealToken(t *delegation.Token, purges generations, place []byte) ([]byte, error) {
	plain, err := json.Marshal(sealedToken{[]byte(t.Access.Reveal()), t.Scope, t.Minted, t.Expires, purges})
	if err != nil {
		return nil, err
	}
	return f.sealer.Seal(plain, place)
}

// openToken returns nil for what is no token of this place, or has been purged
// or expired.
func (f *Fleet) openToken(sealed string, purges generations, place []byte) *delegation.Token {
	if sealed == "" {
		return nil
	}
	var v sealedToken
	plain, err := f.sealer.Open([]byte(sealed), place)
	if err == nil {
		err = json.Unmarshal(plain, &v)
	}
	if err != nil {
		f.unreadable.Add(1)
		return nil
	}
	if v.Generations != purges || !time.Now().Before(v.Expires) {
		return nil
	}
	return &delegation.Token{Access: delegation.NewSecret(string(v.Access)), Scope: v.Scope, Minted: v.Minted, Expires: v.Expires}
}

// purgeRecord is a purge as Redis keeps it, before it is sealed.
type purgeRecord struct {
	purge
	At time.Time `json:"at"` // by the clock of the machine that was asked

	Revocation *session.Revocation `json:"revocation,omitempty"` // all that is revoked by the name
}

func (f *Fleet) sealPurgeRecord(n purgeRecord) (string, error) {
	plain, err := json.Marshal(n)
	if err != nil {
		return "", err
	}
	sealed, err := f.sealer.Seal(plain, associated("purge"))
	return string(sealed), err
}

func (f *Fleet) openPurgeRecord(sealed string) (n purgeRecord, ok bool) {
	plain, err := f.sealer.Open([]byte(sealed), associated("purge"))
	if err == nil {
		err = json.Unmarshal(plain, &n)
	}
	if err != nil {
		f.unreadable.Add(1)
	}
	return n, err == nil
}
