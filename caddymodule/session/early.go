// SPDX-License-Identifier: Apache-2.0

package session

import "time"

// maxEarly is how many sessions of one person are remembered that were seen
// ahead of when they were issued.
const maxEarly = 8

// early are signed sessions that were seen here ahead of the moment that says
// when they were issued: it is in whole seconds, and an issuer's clock may be
// ahead. A revocation covers those that were seen before it, and none that came
// after it. They matter until that moment has passed and all is heard that other
// machines revoked until then: while Redis is away that is not.
type early struct {
	people map[Name]*seenEarly
	swept  time.Time
}

const (
	// earlyFor is for how long after that moment, and after all until then was
	// heard, they are remembered: messages take their time, and clocks differ.
	earlyFor = 2 * time.Minute

	sweepEarly = time.Minute

	// maxEarlyPeople is how many people with such sessions are remembered until
	// the other machines are heard of again: more than sign in during an outage.
	maxEarlyPeople = 100_000
)

type seenEarly struct {
	sessions []earlySession
	more     earlySession // those for which there was no room: the first of them, and the last moment
}

type earlySession struct {
	digest  string
	named   bool
	first   time.Time // when it was seen first
	issued  time.Time
	expires time.Time
}

func newEarly() early { return early{people: make(map[Name]*seenEarly), swept: time.Now()} }

// note remembers a session by a name of its user, if it is early. heard is until
// when all is known, by the same clock as at.
func (e *early) note(s *Session, name Name, at, heard, now time.Time) {
	if now.Sub(e.swept) >= sweepEarly {
		if len(e.people) >= maxEarlyPeople {
			heard = at
		}
		e.sweep(heard, now)
	}
	if !s.IssuedBefore.After(at) || s.digest == "" {
		return
	}
	p := e.people[name]
	if p == nil {
		p = new(seenEarly)
		e.people[name] = p
	}
	for i := range p.sessions {
		if p.sessions[i].digest == s.digest {
			return
		}
	}
	one := earlySession{digest: s.digest, named: s.ID != "", first: at, issued: s.IssuedBefore, expires: s.Expires}
	switch {
	case len(p.sessions) < maxEarly:
		p.sessions = append(p.sessions, one)
	case p.more.first.IsZero():
		p.more = one
	default:
		p.more.issued = later(p.more.issued, one.issued)
	}
}

func (e *early) sweep(heard, now time.Time) {
	e.swept = now
	for name, p := range e.people {
		last := p.more.issued
		for i := range p.sessions {
			last = later(last, p.sessions[i].issued)
		}
		if heard.Sub(last) > earlyFor {
			delete(e.people, name)
		}
	}
}

// revoked returns what else a revocation revokes: sessions that were seen
// before it; here tells that all were.
func (e *early) revoked(what *Revocation, here bool) (all []Revocation) {
	if what.single() {
		return nil
	}
	if what.Name != (Name{}) {
		if p := e.people[what.Name]; p != nil {
			all = p.revoked(what.Name, what, here, all)
		}
		return all
	}
	for name, p := range e.people {
		all = p.revoked(name, what, here, all)
	}
	return all
}

func (p *seenEarly) revoked(name Name, by *Revocation, here bool, all []Revocation) []Revocation {
	what := Revocation{Name: name}
	before := func(s *earlySession, at time.Time) bool {
		return !at.IsZero() && s.issued.After(at) && (here || !s.first.After(at))
	}
	for i := range p.sessions {
		s := &p.sessions[i]
		if before(s, by.At) || !s.named && before(s, by.NoSessionID) {
			what.Sessions = append(what.Sessions, RevokedSession{Digest: s.digest, At: later(by.At, by.NoSessionID), Issued: s.issued, Expires: s.expires})
		}
	}
	switch {
	case p.more.first.IsZero():
	case before(&p.more, by.At):
		what.At = p.more.issued
	case before(&p.more, by.NoSessionID): // some of them may have no name
		what.NoSessionID = p.more.issued
	}
	if what.At.IsZero() && what.NoSessionID.IsZero() && what.Sessions == nil {
		return all
	}
	return append(all, what)
}
