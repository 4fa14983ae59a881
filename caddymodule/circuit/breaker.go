// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// MinPeople is for how many people in a row a service has to fail before the
	// breaker opens.
	MinPeople = 3

	// MinNewPeople is the same for people whom the service has never known: it
	// may fail for a few accounts with odd names.
	MinNewPeople = 20

	// FailureLife is how long a person's failure is remembered: another one
	// within it tells nothing new about the service.
	FailureLife = 10 * time.Minute

	// maxHistory bounds the people whose failures are remembered.
	maxHistory = 1000
)

// Breaker is a circuit breaker that counts people, not requests: one person's
// failures, however many, do not open it; those of a few people do, once, and
// cannot keep it open for the others. It opens for a second, and twice as long,
// up to 30 s, each time the service fails again. It is safe for concurrent use.
//
// Why not sony/gobreaker: it counts requests, so that one person could open it
// for everybody, and every second one of a small attack would be a probe.
type Breaker struct {
	mu           sync.Mutex
	failedOwners map[Owner]struct{} // with failures in a row, while closed
	unreachable  int                // failed connections in a row, of any owner, while closed
	history      map[Owner]ownerFailures

	successes uint64                // answered questions, plus one
	failures  int                   // openings in a row
	refusal   *delegation.Refusal   // while open or half open; nil: closed
	since     time.Time             // when it was closed last; only while it is not
	until     time.Time             // when an owner of probeHealthy may probe
	retry     time.Time             // when other owners may, at the earliest
	probes    uint64                // number of the latest probe
	probing   map[uint64]probeClass // probes under way, by number
}

// ownerFailures is what is remembered of an owner's failures.
type ownerFailures struct {
	last  time.Time
	count int
	next  time.Time // when the owner may probe
}

// probeClass is a class of owners, of each of which one at a time probes an open
// breaker: the probe of an owner for whom the service may always fail must not
// keep others from probing.
type probeClass int

const (
	probeHealthy    probeClass = iota // people without a failure within FailureLife
	probeFailing                      // people with one
	probeUnverified                   // [Unverified]
)

// Permit allows to ask the service once.
type Permit struct {
	probe     uint64 // number of the probe, or 0
	successes uint64 // the breaker's when the permit was given
}

// IsProbe reports whether the question probes an open breaker.
func (p Permit) IsProbe() bool { return p.probe != 0 }

// NewBreaker returns a closed breaker.
func NewBreaker() *Breaker {
	return &Breaker{failedOwners: make(map[Owner]struct{}), history: make(map[Owner]ownerFailures), probing: make(map[uint64]probeClass), successes: 1}
}

// Allow returns a permit to ask the service for an owner, or the refusal to
// answer with instead. A permit has to be given back by [Breaker.Release]; what
// came of the question should be told before, by [Breaker.Record].
//
// An open breaker gives few permits, for probes. A probe ([Permit.IsProbe])
// should be sent at once, not wait for a slot behind other questions.
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

// Release gives a permit back. If it was a probe of which nothing was recorded,
// another one may follow.
func (b *Breaker) Release(p Permit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.probing, p.probe)
}

// Record tells the breaker how a question for an owner ended. Verdicts about a
// credential or a person do not open the breaker, nor does a failure during
// which other questions were answered.
func (b *Breaker) Record(p Permit, o Owner, v Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch v.concern {
	case concernNone, concernCredential:
		return
	case concernHealthy, concernPerson:
		b.successes++
		b.close()
		return
	}
	owned := v.concern == concernService && o != Operator
	again := owned && (o == Unverified || b.rememberFailure(o)) // recorded even if others were answered: then it is this owner's own failure
	if p.successes != 0 && p.successes != b.successes {
		return // the service has answered others meanwhile
	}
	_, probe := b.probing[p.probe]
	switch {
	case b.refusal != nil && !probe:
		return // the question began before the breaker opened, and tells nothing new
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
	if !owned && v.concern == concernService || v.refusal.Code == delegation.CredentialsRejected {
		// It is about the operator's account, and so for everybody: as long as the
		// service asks.
		wait = RetryDelay(v.refusal, b.failures)
	}
	if b.refusal == nil {
		b.since = time.Now()
	}
	b.refusal, b.until = v.refusal, time.Now().Add(wait)
	b.unreachable = 0
	clear(b.failedOwners)
	clear(b.probing)
}

// Reset closes the breaker: the operator wants the service tried again.
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

// countFailure counts a failure of a closed breaker and reports whether it has to
// open.
func (b *Breaker) countFailure(o Owner, v Verdict) bool {
	switch {
	case v.concern == concernUnreachable:
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

// rememberFailure records an owner's failure and reports whether there was one
// within [FailureLife]: a few people for whom the service always fails must not
// keep the breaker open for all others.
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
