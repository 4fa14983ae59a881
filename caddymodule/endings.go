// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// endingsKey is of what is in the pool once for all configurations: a reload
// signs nobody in again who has signed out.
const endingsKey = "endings"

type endings struct{ *session.Endings }

// Destruct implements [caddy.Destructor].
func (endings) Destruct() error { return nil }

// sessionSpace is where logouts travel between machines, beside the purges of
// providers, none of which has such a name.
const sessionSpace = "\x00sessions"

// joinEndings makes the endings of sessions known to other machines, and
// theirs here.
func (a *App) joinEndings() {
	value, _, _ := pool.LoadOrNew(endingsKey, func() (caddy.Destructor, error) { return endings{session.NewEndings()}, nil })
	ended := value.(endings).Endings
	a.endings = ended
	if a.fleet != nil {
		a.sessions = a.fleet.Join(sessionSpace, func(s delegation.Selection, at time.Time) { ended.End(endingOf(s), at) })
	}
}

// leaveEndings ends what joinEndings began.
func (a *App) leaveEndings() error {
	if a.sessions != nil {
		a.sessions.Leave()
		a.sessions = nil
	}
	if a.endings == nil {
		return nil
	}
	a.endings = nil
	_, err := pool.Delete(endingsKey)
	return err
}

// end ends sessions from before now on all machines.
func (a *App) end(ctx context.Context, all ...session.Ending) {
	now := time.Now()
	for _, what := range all {
		a.endings.End(what, now)
		if a.sessions != nil {
			// An error is that other machines cannot be told now. That Redis is
			// down is logged, and they are told as soon as they can be.
			_ = a.sessions.Purge(ctx, selectionOf(what))
		}
	}
}

const (
	namedPrefix  = "sid "
	digestPrefix = "digest "
)

// selectionOf writes an ending as what travels.
func selectionOf(what session.Ending) delegation.Selection {
	s := delegation.Selection{Realm: what.Realm, Subject: what.Subject}
	switch {
	case what.ID != "":
		s.Participant = namedPrefix + what.ID
	case what.Digest != "":
		s.Participant = digestPrefix + hex.EncodeToString([]byte(what.Digest))
	}
	return s
}

// endingOf reads it. What it cannot read ends everybody's sessions.
func endingOf(s delegation.Selection) session.Ending {
	what := session.Ending{Realm: s.Realm, Subject: s.Subject}
	if id, ok := strings.CutPrefix(s.Participant, namedPrefix); ok {
		what.ID = id
	} else if digest, ok := strings.CutPrefix(s.Participant, digestPrefix); ok {
		text, err := hex.DecodeString(digest)
		if err != nil {
			return session.Ending{}
		}
		what.Digest = string(text)
	}
	return what
}
