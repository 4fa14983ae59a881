// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxIdentities is more names than anybody configures for one user.
const maxIdentities = 256

// Alias is a name that sessions are used by: a realm, or theirs, and the claim
// that is the subject there.
type Alias struct{ Realm, Claim string }

// AliasesChecked tells whether the session is checked by all of a list already.
func (s *Session) AliasesChecked(list *[]Alias) bool { return s.checkedAliases.Load() == list }

// SetAliasesChecked notes that it is.
func (s *Session) SetAliasesChecked(list *[]Alias) { s.checkedAliases.Store(list) }

// sessionIdentity is a name that a session is used by.
type sessionIdentity struct {
	person     delegation.Person
	generation atomic.Uint64 // the generation of revocations, and one, that it was looked up in
}

// person is the user in a realm.
func (s *Session) person(realm string) delegation.Person {
	return delegation.Person{Realm: realm, Subject: s.Subject}
}

func (s *Session) knownIdentities() []*sessionIdentity {
	if uses := s.identities.Load(); uses != nil {
		return *uses
	}
	return nil
}

func (s *Session) identity(who delegation.Person) *sessionIdentity {
	for _, u := range s.knownIdentities() {
		if u.person == who {
			return u
		}
	}
	return nil
}

// addIdentity is for who holds the revocations' lock.
func (s *Session) addIdentity(who delegation.Person) *sessionIdentity {
	if u := s.identity(who); u != nil {
		return u
	}
	u := &sessionIdentity{person: who}
	if uses := s.knownIdentities(); len(uses) < maxIdentities {
		uses = append(slices.Clone(uses), u)
		s.identities.Store(&uses)
	}
	return u
}

// People are the names that the session is used by: its issuer's first.
func (s *Session) People() []delegation.Person {
	people := []delegation.Person{s.person(s.Realm)}
	for _, u := range s.knownIdentities() {
		if !slices.Contains(people, u.person) {
			people = append(people, u.person)
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
