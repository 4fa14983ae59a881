// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// MinPeople is for how many people in a row a service has to fail before it
	// is failing everybody.
	MinPeople = 3

	// MinNewPeople is the same for people whom the service never knew: a
	// few accounts with odd names prove nothing.
	MinNewPeople = 20

	// FailureLife is how long a failure is remembered: the next one of the same
	// person is then known to be no news.
	FailureLife = 10 * time.Minute

	// maxHistory bounds for how many people failures are remembered.
	maxHistory = 1000
)

// Breaker keeps a failing service from being asked by everybody, and who asks
// from waiting for it. It opens for a second, and twice as long each time the
// service fails again.
//
// It is told verdicts and counts people, which libraries of this kind do not:
// one person's failures, however many, do not open it; a few people's do, once,
// and cannot keep it open for the others.
type Breaker struct {
	mu           sync.Mutex
	failedOwners map[Owner]struct{} // in a row, while closed
	unreachable  int                // the same, of whoever asked
	history      map[Owner]ownerFailures

	successes uint64                // answers as they should be, and one
	failures  int                   // openings in a row
	refusal   *delegation.Refusal   // while open or half open
	until     time.Time             // when somebody for whom it did not fail may try
	retry     time.Time             // when anybody for whom it did may
	probes    uint64                // how many have tried
	probing   map[uint64]probeClass // under way
}

// ownerFailures is what is remembered of an owner's failures.
type ownerFailures struct {
	last  time.Time
	count int
	next  time.Time // when they may try whether the service is back
}

// probeClass is of whom one at a time tries whether the service is back: nobody
// waits for the question of somebody for whom it may always fail.
type probeClass int

const (
	probeHealthy    probeClass = iota // people for whom it did not fail lately
	probeFailing                      // people for whom it did
	probeUnverified                   // [Strangers]
)

// Permit is the leave to ask the service once.
type Permit struct {
	probe     uint64 // of one that finds out whether the service is back, or 0
	successes uint64 // of the breaker's, when it was given
}

// IsProbe tells whether it is to find out if the service is back.
func (p Permit) IsProbe() bool { return p.probe != 0 }

// NewBreaker returns a closed breaker.
func NewBreaker() *Breaker {
	return &Breaker{failedOwners: make(map[Owner]struct{}), history: make(map[Owner]ownerFailures), probing: make(map[uint64]probeClass), successes: 1}
}

// Allow tells whether the service may be asked for an owner. If it returns no
// refusal, Record should follow, and Leave has to.
//
// While it is open few may try whether the service is back, at once: whoever
// has got a pass for that ([Pass.Probe]) should not wait for others to ask.
func (b *Breaker) Allow(o Owner) (Permit, *delegation.Refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refusal == nil {
		return Permit{0, b.successes}, nil
	}
	now, until := time.Now(), b.until
	last, ok := b.history[o]
	kind := probeHealthy
	switch {
	case o == Unverified:
		kind = probeUnverified
	case ok && now.Sub(last.last) < FailureLife:
		kind = probeFailing
	}
	if kind != probeHealthy {
		for _, t := range []time.Time{b.retry, last.next} {
			if t.After(until) {
				until = t
			}
		}
	}
	if now.Before(until) {
		return Permit{}, Repeat(b.refusal, until.Sub(now))
	}
	for _, other := range b.probing {
		if other == kind {
			return Permit{}, Repeat(b.refusal, minDelay)
		}
	}
	b.probes++
	b.probing[b.probes] = kind
	return Permit{b.probes, b.successes}, nil
}

// Release lets somebody else find out, if this one has learnt nothing.
func (b *Breaker) Release(p Permit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.probing, p.probe)
}

// Record learns from how a question for an owner ended. Verdicts about a
// credential or a person neither open the breaker nor keep it open, nor does a
// question that has led to nothing while others were answered.
func (b *Breaker) Record(p Permit, o Owner, v Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch v.subject {
	case subjectNone, subjectCredential:
		return
	case subjectHealthy, subjectPerson:
		b.successes++
		b.close()
		return
	}
	owned := v.subject == subjectService && o != Operator
	again := owned && (o == Unverified || b.rememberFailure(o)) // also if others were answered: then it is their own trouble
	if p.successes != 0 && p.successes != b.successes {
		return // it has answered others meanwhile
	}
	_, probe := b.probing[p.probe]
	switch {
	case b.refusal != nil && !probe:
		return // it began before the breaker opened, and tells nothing new
	case b.refusal != nil && again:
		delete(b.probing, p.probe)
		b.retry = time.Now().Add(minDelay)
		return
	case b.refusal == nil && again:
		return
	}
	if b.refusal == nil && !b.countFailure(o, v) {
		return
	}
	b.failures++
	wait := Backoff(b.failures)
	if !owned && v.subject == subjectService || v.refusal.Code == delegation.CredentialsRejected {
		// What is said of the operator's own account, which is everybody's.
		wait = RetryDelay(v.refusal, b.failures)
	}
	b.refusal, b.until = v.refusal, time.Now().Add(wait)
	b.unreachable = 0
	clear(b.failedOwners)
	clear(b.probing)
}

// Reset closes the breaker: its operator wants the service tried again.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
}

func (b *Breaker) close() {
	clear(b.failedOwners)
	clear(b.probing)
	b.unreachable, b.failures, b.refusal, b.retry = 0, 0, nil, time.Time{}
}

// countFailure counts a failure, and tells whether the service fails everybody.
func (b *Breaker) countFailure(o Owner, v Verdict) bool {
	switch {
	case v.subject == subjectUnreachable:
		b.unreachable++
	case o == Operator:
		return true
	default:
		b.failedOwners[o] = struct{}{}
	}
	people, newcomers := b.unreachable, 0
	for o := range b.failedOwners {
		if o.known {
			people++
		} else {
			newcomers++
		}
	}
	return people+min(newcomers, 1) >= MinPeople || newcomers >= MinNewPeople
}

// rememberFailure notes a failure, and tells whether the owner had one before. A
// few people for whom a service always fails tell nothing new each time, and
// must not keep everybody else from being tried.
func (b *Breaker) rememberFailure(o Owner) bool {
	now := time.Now()
	last, ok := b.history[o]
	again := ok && now.Sub(last.last) < FailureLife
	if !again {
		last = ownerFailures{}
		if len(b.history) >= maxHistory {
			clear(b.history)
		}
	}
	last.count++
	last.last, last.next = now, now.Add(Backoff(last.count))
	b.history[o] = last
	return again
}
