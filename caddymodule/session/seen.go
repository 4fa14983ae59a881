// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fair"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// seenLife is how long a session counts as valid a while ago.
	seenLife = time.Hour

	// silentLife is for how long those wait until all others had their turn for
	// whom there was no answer to one question, whatever was answered to others:
	// the app may hang for one of their sessions only.
	silentLife = time.Minute
)

// seen are credentials that were valid a while ago, and whose they were.
type seen struct {
	credentials *memory.Store[digest, delegation.Person]
	newest      *newest
	silent      *memory.Store[delegation.Person, time.Time] // for whom there was no answer, and when
}

func newSeen() *seen {
	return &seen{
		credentials: memory.New[digest, delegation.Person](maxSessions),
		newest:      newNewest(seenLife),
		silent:      memory.New[delegation.Person, time.Time](maxSessions),
	}
}

func (s *seen) person(of digest) (who delegation.Person, ok bool) {
	return s.credentials.Get(of, string(of[:]), time.Now())
}

// answered notes whether there was an answer for a person.
func (s *seen) answered(who delegation.Person, ok bool) {
	name, now := nameOf(who), time.Now()
	if !ok {
		s.silent.Set(who, name, now, blame.FailureLife, false)
	} else if last, silent := s.silent.Get(who, name, now); silent && now.Sub(last) >= silentLife {
		s.silent.Delete(who, name)
	}
}

// rank puts those last for whom there was no answer: who is asked may always
// hang for them.
func (s *seen) rank(who delegation.Person) fair.Rank {
	if _, silent := s.silent.Get(who, nameOf(who), time.Now()); silent {
		return fair.Last
	}
	return fair.First
}

func nameOf(who delegation.Person) string {
	return strconv.Quote(who.Realm) + strconv.Quote(who.Subject)
}

// add notes a session that is valid. over tells whether its person has more of
// them than are remembered.
func (s *seen) add(of digest, who delegation.Person) (over bool) {
	oldest, over := s.newest.add(of, who)
	if over {
		s.credentials.Delete(oldest, string(oldest[:]))
	}
	s.credentials.Set(of, string(of[:]), who, seenLife, false)
	return over
}
