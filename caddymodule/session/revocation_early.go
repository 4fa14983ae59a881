// SPDX-License-Identifier: Apache-2.0

package session

import "time"

// maxEarly is how many sessions of one person are remembered that were seen
// ahead of when they were issued.
const maxEarly = 8

// earlySessions are signed sessions that were seen here ahead of the moment that says
// when they were issued: it is in whole seconds, and an issuer's clock may be
// ahead. A revocation covers those that were seen before it, and none that came
// after it. They matter until that moment has passed and all is heard that other
// machines revoked until then: while Redis is away that is not.
type earlySessions struct {
	byTarget  map[RevocationTarget]*personEarlySessions
	lastSweep time.Time
}

const (
	// earlyLife is for how long after that moment, and after all until then was
	// heard, they are remembered: messages take their time, and clocks differ.
	earlyLife = 2 * time.Minute

	earlySweepInterval = time.Minute

	// maxEarlyPeople is how many people with such sessions are remembered until
	// the other machines are heard of again: more than sign in during an outage.
	maxEarlyPeople = 100_000
)

type personEarlySessions struct {
	sessions []earlySession
	overflow earlySession // those for which there was no room: the first of them, and the last moment
}

type earlySession struct {
	digest       string
	hasID        bool
	firstSeen    time.Time // when it was seen first
	issuedBefore time.Time
	expires      time.Time
}

func newEarly() earlySessions {
	return earlySessions{byTarget: make(map[RevocationTarget]*personEarlySessions), lastSweep: time.Now()}
}

// record remembers a session by a name of its user, if it is early. heard is until
// when all is known, by the same clock as at.
func (e *earlySessions) record(s *Session, name RevocationTarget, at, heard, now time.Time) {
	if now.Sub(e.lastSweep) >= earlySweepInterval {
		if len(e.byTarget) >= maxEarlyPeople {
			heard = at
		}
		e.sweep(heard, now)
	}
	if !s.IssuedBefore.After(at) || s.digest == "" {
		return
	}
	p := e.byTarget[name]
	if p == nil {
		p = new(personEarlySessions)
		e.byTarget[name] = p
	}
	for i := range p.sessions {
		if p.sessions[i].digest == s.digest {
			return
		}
	}
	one := earlySession{digest: s.digest, hasID: s.ID != "", firstSeen: at, issuedBefore: s.IssuedBefore, expires: s.Expires}
	switch {
	case len(p.sessions) < maxEarly:
		p.sessions = append(p.sessions, one)
	case p.overflow.firstSeen.IsZero():
		p.overflow = one
	default:
		p.overflow.issuedBefore = laterOf(p.overflow.issuedBefore, one.issuedBefore)
	}
}

func (e *earlySessions) sweep(heard, now time.Time) {
	e.lastSweep = now
	for name, p := range e.byTarget {
		last := p.overflow.issuedBefore
		for i := range p.sessions {
			last = laterOf(last, p.sessions[i].issuedBefore)
		}
		if heard.Sub(last) > earlyLife {
			delete(e.byTarget, name)
		}
	}
}

// revokedBy returns what else a revocation revokes: sessions that were seen
// before it; here tells that all were.
func (e *earlySessions) revokedBy(what *Revocation, here bool) (all []Revocation) {
	if what.singleSession() {
		return nil
	}
	if what.RevocationTarget != (RevocationTarget{}) {
		if p := e.byTarget[what.RevocationTarget]; p != nil {
			all = p.revokedBy(what.RevocationTarget, what, here, all)
		}
		return all
	}
	for name, p := range e.byTarget {
		all = p.revokedBy(name, what, here, all)
	}
	return all
}

func (p *personEarlySessions) revokedBy(name RevocationTarget, by *Revocation, here bool, all []Revocation) []Revocation {
	what := Revocation{RevocationTarget: name}
	before := func(s *earlySession, at time.Time) bool {
		return !at.IsZero() && s.issuedBefore.After(at) && (here || !s.firstSeen.After(at))
	}
	for i := range p.sessions {
		s := &p.sessions[i]
		if before(s, by.At) || !s.hasID && before(s, by.NoSessionID) {
			what.Sessions = append(what.Sessions, RevokedSession{Digest: s.digest, At: laterOf(by.At, by.NoSessionID), IssuedBefore: s.issuedBefore, Expires: s.expires})
		}
	}
	switch {
	case p.overflow.firstSeen.IsZero():
	case before(&p.overflow, by.At):
		what.At = p.overflow.issuedBefore
	case before(&p.overflow, by.NoSessionID): // some of them may have no name
		what.NoSessionID = p.overflow.issuedBefore
	}
	if what.At.IsZero() && what.NoSessionID.IsZero() && what.Sessions == nil {
		return all
	}
	return append(all, what)
}
