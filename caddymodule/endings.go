// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// endings are the process's: no reload signs anybody in again who has signed
// out, whatever it configures.
var endings = session.NewEndings()

// sessionSpace is where logouts travel between machines, beside the purges of
// providers, none of which has such a name.
const sessionSpace = "\x00sessions"

// joinEndings makes the endings of sessions known to other machines, and
// theirs here.
func (a *App) joinEndings() {
	a.endings = endings
	a.logouts = newPace()
	if a.fleet != nil {
		a.sessions = a.fleet.Join(sessionSpace, func(s delegation.Selection, at time.Time) {
			// Another machine's clock may be ahead: who signs in now must not
			// be signed out by it.
			if now := time.Now(); at.After(now) {
				at = now
			}
			endings.End(endingOf(s), at)
		})
	}
}

// leaveEndings ends what joinEndings began. Requests may still be draining.
func (a *App) leaveEndings() {
	if a.sessions != nil {
		a.sessions.Leave()
	}
}

const (
	maxPaced = 10_000

	// A person who signs out again and again, such as by an app that does not
	// end the session, has tokens dropped and machines told so often: each
	// costs lookups at the platform, and room in Redis. One who begins to
	// connect again and again has the platform called in the operator's name.
	paceBurst = 5
	paceEvery = 10 * time.Second
)

// pace is how often people do something that costs others.
type pace struct {
	mu     sync.Mutex
	people *memory.Store[delegation.Person, *rate.Limiter]
}

func newPace() *pace {
	return &pace{people: memory.New[delegation.Person, *rate.Limiter](maxPaced)}
}

// usual tells whether a person does it no oftener than people do.
func (p *pace) usual(who delegation.Person) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := strconv.Quote(who.Realm) + strconv.Quote(who.Subject)
	limiter, ok := p.people.Get(who, key, time.Now())
	if !ok {
		limiter = rate.NewLimiter(rate.Every(paceEvery), paceBurst)
	}
	p.people.Set(who, key, limiter, paceBurst*paceEvery, false)
	return limiter.Allow()
}

// end ends sessions from before now: here, and if tell on all machines. An
// error is that others cannot be told now. That Redis is down is logged, and
// they are told as soon as they can be.
func (a *App) end(ctx context.Context, tell bool, all ...session.Ending) (err error) {
	now := time.Now()
	for _, what := range all {
		a.endings.End(what, now)
		if a.sessions != nil && tell {
			err = errors.Join(err, a.sessions.Purge(ctx, selectionOf(what)))
		}
	}
	return err
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

// endingOf reads it. A digest that it cannot read ends everybody's sessions.
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
