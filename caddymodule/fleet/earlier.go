// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// Earlier versions tell of revocations as of purges in a space of its own.
const (
	sessionSpace = "\x00sessions"
	namedPrefix  = "sid "
	digestPrefix = "digest "
)

// selectionOf is what an earlier version reads.
func selectionOf(n session.Name) delegation.Selection {
	s := delegation.Selection{Realm: n.Realm, Subject: n.Subject}
	switch {
	case n.SessionID != "":
		s.Participant = namedPrefix + n.SessionID
	case n.Digest != "":
		if raw, err := base64.RawURLEncoding.DecodeString(n.Digest); err == nil {
			s.Participant = digestPrefix + hex.EncodeToString(raw)
		}
	}
	return s
}

// applyRevoked merges what the stream tells.
func (f *Fleet) applyRevoked(n *note) {
	revocations := f.outbox.revocations()
	if revocations == nil {
		return
	}
	if n.Revocation != nil {
		f.outbox.add(revocations.Merge(*n.Revocation)...)
		return
	}
	s := n.Selection
	what := session.Revocation{Name: session.Name{Realm: s.Realm, Subject: s.Subject}, At: n.At}
	if id, ok := strings.CutPrefix(s.Participant, namedPrefix); ok {
		if s.Subject != "" {
			what.At, what.NoSessionID = time.Time{}, n.At
		} else {
			what.SessionID = id
		}
	} else if digest, ok := strings.CutPrefix(s.Participant, digestPrefix); ok {
		raw, err := hex.DecodeString(digest)
		if err != nil {
			return
		}
		what.Name = session.Name{Digest: base64.RawURLEncoding.EncodeToString(raw)}
	}
	// It has no record yet, and the stream forgets.
	if known, ok := revocations.Of(what.Name); !ok || known.At.Before(what.At) || known.NoSessionID.Before(what.NoSessionID) {
		f.outbox.add(what.Name)
	}
	f.outbox.add(revocations.Merge(what)...)
}
