// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"strconv"
	"sync"
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

	// maxSeenPerPerson is of how many sessions of one person that is
	// remembered: somebody who signs in again and again must not push the
	// others out.
	maxSeenPerPerson = 16
)

// seen are credentials that were valid a while ago, and whose they were.
type seen struct {
	mu          sync.Mutex
	credentials *memory.Store[digest, delegation.Person]
	people      *memory.Store[delegation.Person, []digest]
	silent      *memory.Store[delegation.Person, time.Time] // for whom there was no answer, and when
}

func newSeen() *seen {
	return &seen{
		credentials: memory.New[digest, delegation.Person](maxSessions),
		people:      memory.New[delegation.Person, []digest](maxSessions),
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

func (s *seen) add(of digest, who delegation.Person) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := nameOf(who)
	theirs, _ := s.people.Get(who, name, time.Now())
	theirs = append(slices.DeleteFunc(slices.Clone(theirs), func(d digest) bool { return d == of }), of)
	if len(theirs) > maxSeenPerPerson {
		oldest := theirs[0]
		theirs = theirs[1:]
		s.credentials.Delete(oldest, string(oldest[:]))
	}
	s.people.Set(who, name, theirs, seenLife, false)
	s.credentials.Set(of, string(of[:]), who, seenLife, false)
}
