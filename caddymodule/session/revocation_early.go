// SPDX-License-Identifier: Apache-2.0

package session

import "time"

// maxEarly is how many early sessions of one person are remembered one by one.
const maxEarly = 8

// earlySessions are signed sessions that were seen here before their time of issue, as
// IssuedBefore has it: `iat` is in whole seconds, and the issuer's clock may be ahead. A
// revocation must cover those that were seen before it, and none that came after it. They
// are remembered until that time has passed and all revocations of other machines until
// then are known, which takes as long as Redis is away.
type earlySessions struct {
	byTarget  map[RevocationTarget]*personEarlySessions
	lastSweep time.Time
}

const (
	// earlyLife is how long they are remembered beyond that: messages take their time,
	// and clocks differ.
	earlyLife = 2 * time.Minute

	earlySweepInterval = time.Minute

	// maxEarlyPeople is how many people with early sessions are remembered while the
	// other machines cannot be heard: more than sign in during an outage.
	maxEarlyPeople = 100_000
)

// personEarlySessions are the early sessions of one person.
type personEarlySessions struct {
	sessions []earlySession
	overflow earlySession // all beyond maxEarly: when the first was seen, the latest time of issue
}

// earlySession is one early session.
type earlySession struct {
	digest       string
	hasID        bool
	firstSeen    time.Time
	issuedBefore time.Time
	expires      time.Time
}

func newEarly() earlySessions {
	return earlySessions{byTarget: make(map[RevocationTarget]*personEarlySessions), lastSweep: time.Now()}
}

// record records a session of a target, if it is early at the time `at` of the common
// clock. Revocations of other machines are known until syncedUntil, of the same clock.
func (e *earlySessions) record(s *Session, name RevocationTarget, at, syncedUntil, now time.Time) {
	if now.Sub(e.lastSweep) >= earlySweepInterval {
		if len(e.byTarget) >= maxEarlyPeople {
			syncedUntil = at
		}
		e.sweep(syncedUntil, now)
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

// sweep drops the people whose sessions are no longer early.
func (e *earlySessions) sweep(syncedUntil, now time.Time) {
	e.lastSweep = now
	for name, p := range e.byTarget {
		last := p.overflow.issuedBefore
		for i := range p.sessions {
			last = laterOf(last, p.sessions[i].issuedBefore)
		}
		if syncedUntil.Sub(last) > earlyLife {
			delete(e.byTarget, name)
		}
	}
}

// revokedBy returns the revocations of early sessions that a revocation is to cover: those
// that were seen before it; all of them if it is of this machine (local).
func (e *earlySessions) revokedBy(what *Revocation, local bool) (all []Revocation) {
	if what.singleSession() {
		return nil
	}
	if what.RevocationTarget != (RevocationTarget{}) {
		if p := e.byTarget[what.RevocationTarget]; p != nil {
			all = p.revokedBy(what.RevocationTarget, what, local, all)
		}
		return all
	}
	for name, p := range e.byTarget {
		all = p.revokedBy(name, what, local, all)
	}
	return all
}

// revokedBy appends the revocation of the target's sessions, if there are any.
func (p *personEarlySessions) revokedBy(name RevocationTarget, by *Revocation, local bool, all []Revocation) []Revocation {
	what := Revocation{RevocationTarget: name}
	before := func(s *earlySession, at time.Time) bool {
		return !at.IsZero() && s.issuedBefore.After(at) && (local || !s.firstSeen.After(at))
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
