// SPDX-License-Identifier: Apache-2.0

package session

import (
	"sync"
	"sync/atomic"
	"time"
)

// sweepEvery is how often endings that are no longer needed are dropped.
const sweepEvery = time.Hour

// Ending names what a logout ends: all sessions of a subject, those of one name
// at the issuer (`sid`), or the one whose digest it is. The zero Ending is all
// sessions of everybody.
type Ending struct{ Realm, Subject, ID, Digest string }

// Nameless as an Ending's ID is a subject's sessions that have none.
const Nameless = "\x00"

// Endings are what a logout with the session ends: the session itself, and
// those of the same user from before. Who is asked has told when: nothing else
// is needed then.
func (s *Session) Endings() []Ending {
	if s.asked {
		return []Ending{{Realm: s.Realm, Subject: s.Subject}}
	}
	return []Ending{{Realm: s.Realm, Subject: s.Subject}, {Digest: s.digest}}
}

// Endings remember who has signed out, for [MaxAge]: a session of a JSON Web
// Token has no end that its issuer could still change. They are never dropped
// to make room, or who was signed out would be signed in again; there are no
// more of them than sessions that were signed for people who did sign out.
// Safe for concurrent use.
type Endings struct {
	mu    sync.RWMutex
	ends  map[Ending]time.Time
	swept time.Time

	generation atomic.Uint64 // how many there have been
}

// NewEndings returns none.
func NewEndings() *Endings { return &Endings{ends: make(map[Ending]time.Time), swept: time.Now()} }

// End ends sessions that were vouched for before a moment.
func (e *Endings) End(what Ending, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at.After(e.ends[what]) {
		e.ends[what] = at
		e.generation.Add(1)
	}
	if now := time.Now(); now.Sub(e.swept) >= sweepEvery {
		e.swept = now
		for what, at := range e.ends {
			if now.Sub(at) > MaxAge+leeway {
				delete(e.ends, what)
			}
		}
	}
}

// Ended tells whether a session was ended after it was vouched for.
func (e *Endings) Ended(s *Session) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.ends) == 0 {
		return false
	}
	of := func(what Ending) bool {
		at, ended := e.ends[what]
		return ended && !s.Vouched.After(at)
	}
	if of(Ending{}) || of(Ending{Realm: s.Realm, Subject: s.Subject}) {
		return true
	}
	if !s.asked && s.digest != "" { // without one it would be everybody's
		if _, ended := e.ends[Ending{Digest: s.digest}]; ended {
			return true
		}
	}
	named := Ending{Realm: s.Realm, ID: s.ID}
	if s.ID == "" {
		return of(Ending{Realm: s.Realm, Subject: s.Subject, ID: Nameless})
	}
	// Who is asked after a logout knows of it. Where they say that somebody is
	// signed in, that is so: an app may keep a session's name when somebody
	// signs in anew. What is signed stays ended.
	if s.asked {
		return of(named)
	}
	_, ended := e.ends[named]
	return ended
}
