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

// legacyRevocation returns the revocation that an earlier version has written to
// the stream as a purge. ok is false if n is none that can be read.
func legacyRevocation(n *streamRecord) (r session.Revocation, ok bool) {
	s := n.Selection
	r = session.Revocation{RevocationTarget: session.RevocationTarget{Realm: s.Realm, Subject: s.Subject}, At: n.At}
	if id, ok := strings.CutPrefix(s.Participant, sessionIDPrefix); ok {
		if s.Subject != "" {
			r.At, r.NoSessionID = time.Time{}, n.At
		} else {
			r.SessionID = id
		}
	} else if digest, ok := strings.CutPrefix(s.Participant, digestPrefix); ok {
		raw, err := hex.DecodeString(digest)
		if err != nil {
			return r, false
		}
		r.RevocationTarget = session.RevocationTarget{Digest: base64.RawURLEncoding.EncodeToString(raw)}
	}
	return r, true
}
