// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

const (
	// seenLife is how long a session counts as valid a while ago.
	seenLife = time.Hour

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
}

func newSeen() *seen {
	return &seen{
		credentials: memory.New[digest, delegation.Person](maxSessions),
		people:      memory.New[delegation.Person, []digest](maxSessions),
	}
}

func (s *seen) person(of digest) (who delegation.Person, ok bool) {
	return s.credentials.Get(of, string(of[:]), time.Now())
}

func (s *seen) add(of digest, who delegation.Person) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := who.Realm + "\x00" + who.Subject
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
