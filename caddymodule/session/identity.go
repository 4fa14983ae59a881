// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// maxIdentities is how many names of one user are remembered with a session: more
// than anybody configures.
const maxIdentities = 256

// Alias is how a directive names the users of sessions: by a realm of its own, or
// by the session's if Realm is empty, and by the claim that is the subject there.
type Alias struct{ Realm, Claim string }

// AliasesChecked tells whether the session was looked up by all aliases of a list
// already. Lists are compared by their address.
func (s *Session) AliasesChecked(list *[]Alias) bool { return s.checkedAliases.Load() == list }

// SetAliasesChecked records that the session was looked up by all aliases of a list.
func (s *Session) SetAliasesChecked(list *[]Alias) { s.checkedAliases.Store(list) }

// sessionIdentity is a person as whom a session is used. A revocation of any of a
// session's identities revokes it.
type sessionIdentity struct {
	person delegation.Person

	// checkedChanges is the number of changes of the revocations with which the
	// identity was found not to be revoked, and 1; 0 if it was not looked up. A
	// lookup is needed once after each change.
	checkedChanges atomic.Uint64
}

// person returns the user as a person of a realm.
func (s *Session) person(realm string) delegation.Person {
	return delegation.Person{Realm: realm, Subject: s.Subject}
}

// knownIdentities returns those that were registered. The list is not changed.
func (s *Session) knownIdentities() []*sessionIdentity {
	if known := s.identities.Load(); known != nil {
		return *known
	}
	return nil
}

// identity returns the registered identity of a person; nil if there is none.
func (s *Session) identity(who delegation.Person) *sessionIdentity {
	for _, known := range s.knownIdentities() {
		if known.person == who {
			return known
		}
	}
	return nil
}

// addIdentity registers a person as whom the session is used. The caller holds the
// lock of the revocations.
func (s *Session) addIdentity(who delegation.Person) *sessionIdentity {
	if known := s.identity(who); known != nil {
		return known
	}
	added := &sessionIdentity{person: who}
	if all := s.knownIdentities(); len(all) < maxIdentities {
		all = append(slices.Clone(all), added)
		s.identities.Store(&all)
	}
	return added
}

// People returns the persons as whom the session is used, that of its own realm
// first.
func (s *Session) People() []delegation.Person {
	people := []delegation.Person{s.person(s.Realm)}
	for _, known := range s.knownIdentities() {
		if !slices.Contains(people, known.person) {
			people = append(people, known.person)
		}
	}
	return people
}

// remaining returns the time until the session ends; [MaxAge] if it tells no end.
func (s *Session) remaining(now time.Time) time.Duration {
	if s.Expires.IsZero() {
		return MaxAge
	}
	return s.Expires.Sub(now)
}

// endOfSecond returns the last nanosecond of the second of a time.
func endOfSecond(at time.Time) time.Time { return at.Truncate(time.Second).Add(time.Second - 1) }
