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

// Earlier versions write a revocation to the stream as a purge in a namespace of
// its own, whose selection's participant says of which session.
const (
	sessionNamespace = "\x00sessions"
	sessionIDPrefix  = "sid "
	digestPrefix     = "digest "
)

// legacySelection returns the selection by which an earlier version reads a
// revocation.
func legacySelection(n session.RevocationTarget) delegation.Selection {
	s := delegation.Selection{Realm: n.Realm, Subject: n.Subject}
	switch {
	case n.SessionID != "":
		s.Participant = sessionIDPrefix + n.SessionID
	case n.Digest != "":
		if raw, err := base64.RawURLEncoding.DecodeString(n.Digest); err == nil {
			s.Participant = digestPrefix + hex.EncodeToString(raw)
		}
	}
	return s
}

// applyRevocation merges a revocation that the stream has, also that of an earlier
// version.
func (f *Fleet) applyRevocation(n *purgeRecord) {
	revocations := f.revocationOutbox.revocations()
	if revocations == nil {
		return
	}
	if n.Revocation != nil {
		f.revocationOutbox.add(revocations.Merge(*n.Revocation)...)
		return
	}
	s := n.Selection
	what := session.Revocation{RevocationTarget: session.RevocationTarget{Realm: s.Realm, Subject: s.Subject}, At: n.At}
	if id, ok := strings.CutPrefix(s.Participant, sessionIDPrefix); ok {
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
		what.RevocationTarget = session.RevocationTarget{Digest: base64.RawURLEncoding.EncodeToString(raw)}
	}
	// An earlier version has written no record, and the stream forgets.
	if known, ok := revocations.Get(what.RevocationTarget); !ok || known.At.Before(what.At) || known.NoSessionID.Before(what.NoSessionID) {
		f.revocationOutbox.add(what.RevocationTarget)
	}
	f.revocationOutbox.add(revocations.Merge(what)...)
}
