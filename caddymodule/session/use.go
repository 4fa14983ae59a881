// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxUses is more names than anybody configures for one user.
const maxUses = 256

// Alias is a name that sessions are used by: a realm, or theirs, and the claim
// that is the subject there.
type Alias struct{ Realm, Claim string }

// CheckedBy tells whether the session is checked by all of a list already.
func (s *Session) CheckedBy(list *[]Alias) bool { return s.checked.Load() == list }

// Checked notes that it is.
func (s *Session) Checked(list *[]Alias) { s.checked.Store(list) }

// use is a name that a session is used by.
type use struct {
	who     delegation.Person
	current atomic.Uint64 // the generation of revocations, and one, that it was looked up in
}

// person is the user in a realm.
func (s *Session) person(realm string) delegation.Person {
	return delegation.Person{Realm: realm, Subject: s.Subject}
}

func (s *Session) used() []*use {
	if uses := s.uses.Load(); uses != nil {
		return *uses
	}
	return nil
}

func (s *Session) use(who delegation.Person) *use {
	for _, u := range s.used() {
		if u.who == who {
			return u
		}
	}
	return nil
}

// addUse is for who holds the revocations' lock.
func (s *Session) addUse(who delegation.Person) *use {
	if u := s.use(who); u != nil {
		return u
	}
	u := &use{who: who}
	if uses := s.used(); len(uses) < maxUses {
		uses = append(slices.Clone(uses), u)
		s.uses.Store(&uses)
	}
	return u
}

// People are the names that the session is used by: its issuer's first.
func (s *Session) People() []delegation.Person {
	people := []delegation.Person{s.person(s.Realm)}
	for _, u := range s.used() {
		if !slices.Contains(people, u.who) {
			people = append(people, u.who)
		}
	}
	return people
}

// remaining is how long the session lives on.
func (s *Session) remaining(now time.Time) time.Duration {
	if s.Expires.IsZero() {
		return MaxAge
	}
	return s.Expires.Sub(now)
}

func endOfSecond(at time.Time) time.Time { return at.Truncate(time.Second).Add(time.Second - 1) }
