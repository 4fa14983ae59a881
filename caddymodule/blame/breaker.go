// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// Distinct is for how many people in a row a service has to fail before it
	// is failing everybody.
	Distinct = 3

	// DistinctNewcomers is the same for people whom the service never knew: a
	// few accounts with odd names prove nothing.
	DistinctNewcomers = 20

	// FailureLife is how long a failure is remembered: the next one of the same
	// person is then known to be no news.
	FailureLife = 10 * time.Minute

	// maxRemembered bounds for how many people failures are remembered.
	maxRemembered = 1000
)

// Breaker keeps a failing service from being asked by everybody, and who asks
// from waiting for it. It opens for a second, and twice as long each time the
// service fails again.
//
// It is told verdicts and counts people, which libraries of this kind do not:
// one person's failures, however many, do not open it; a few people's do, once,
// and cannot keep it open for the others.
type Breaker struct {
	mu          sync.Mutex
	struck      map[Owner]struct{} // in a row, while closed
	unreachable int                // the same, of whoever asked
	remembered  map[Owner]failed

	wells    uint64              // answers as they should be, and one
	failures int                 // openings in a row
	refusal  *delegation.Refusal // while open or half open
	until    time.Time           // when somebody for whom it did not fail may try
	retry    time.Time           // when anybody for whom it did may
	probes   uint64              // how many have tried
	probing  map[uint64]class    // under way
}

// failed is what is remembered of an owner's failures.
type failed struct {
	last time.Time
	n    int
	next time.Time // when they may try whether the service is back
}

// class is of whom one at a time tries whether the service is back: nobody
// waits for the question of somebody for whom it may always fail.
type class int

const (
	fresh   class = iota // people for whom it did not fail lately
	failing              // people for whom it did
	unknown              // [Strangers]
)

// Pass is the leave to ask the service once.
type Pass struct {
	probe uint64 // of one that finds out whether the service is back, or 0
	wells uint64 // of the breaker's, when it was given
}

// Probe tells whether it is to find out if the service is back.
func (p Pass) Probe() bool { return p.probe != 0 }

// NewBreaker returns a closed breaker.
func NewBreaker() *Breaker {
	return &Breaker{struck: make(map[Owner]struct{}), remembered: make(map[Owner]failed), probing: make(map[uint64]class), wells: 1}
}

// Enter tells whether the service may be asked for an owner. If it returns no
// refusal, Record should follow, and Leave has to.
//
// While it is open few may try whether the service is back, at once: whoever
// has got a pass for that ([Pass.Probe]) should not wait for others to ask.
func (b *Breaker) Enter(o Owner) (Pass, *delegation.Refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refusal == nil {
		return Pass{0, b.wells}, nil
	}
	now, until := time.Now(), b.until
	last, ok := b.remembered[o]
	kind := fresh
	switch {
	case o == Strangers:
		kind = unknown
	case ok && now.Sub(last.last) < FailureLife:
		kind = failing
	}
	if kind != fresh {
		for _, t := range []time.Time{b.retry, last.next} {
			if t.After(until) {
				until = t
			}
		}
	}
	if now.Before(until) {
		return Pass{}, Again(b.refusal, until.Sub(now))
	}
	for _, other := range b.probing {
		if other == kind {
			return Pass{}, Again(b.refusal, firstPause)
		}
	}
	b.probes++
	b.probing[b.probes] = kind
	return Pass{b.probes, b.wells}, nil
}

// Leave lets somebody else find out, if this one has learnt nothing.
func (b *Breaker) Leave(p Pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.probing, p.probe)
}

// Record learns from how a question for an owner ended. Verdicts about a
// credential or a person neither open the breaker nor keep it open, nor does a
// question that has led to nothing while others were answered.
func (b *Breaker) Record(p Pass, o Owner, v Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch v.about {
	case nobody, credential:
		return
	case well, person:
		b.wells++
		b.close()
		return
	}
	owned := v.about == service && o != Everybody
	again := owned && (o == Strangers || b.failedBefore(o)) // also if others were answered: then it is their own trouble
	if p.wells != 0 && p.wells != b.wells {
		return // it has answered others meanwhile
	}
	_, probe := b.probing[p.probe]
	switch {
	case b.refusal != nil && !probe:
		return // it began before the breaker opened, and tells nothing new
	case b.refusal != nil && again:
		delete(b.probing, p.probe)
		b.retry = time.Now().Add(firstPause)
		return
	case b.refusal == nil && again:
		return
	}
	if b.refusal == nil && !b.strike(o, v) {
		return
	}
	b.failures++
	wait := Backoff(b.failures)
	if !owned && v.about == service || v.refusal.Code == delegation.CredentialsRejected {
		// What is said of the operator's own account, which is everybody's.
		wait = Pause(v.refusal, b.failures)
	}
	b.refusal, b.until = v.refusal, time.Now().Add(wait)
	b.unreachable = 0
	clear(b.struck)
	clear(b.probing)
}

// Reset closes the breaker: its operator wants the service tried again.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
}

func (b *Breaker) close() {
	clear(b.struck)
	clear(b.probing)
	b.unreachable, b.failures, b.refusal, b.retry = 0, 0, nil, time.Time{}
}

// strike counts a failure, and tells whether the service fails everybody.
func (b *Breaker) strike(o Owner, v Verdict) bool {
	switch {
	case v.about == unreachable:
		b.unreachable++
	case o == Everybody:
		return true
	default:
		b.struck[o] = struct{}{}
	}
	people, newcomers := b.unreachable, 0
	for o := range b.struck {
		if o.proven {
			people++
		} else {
			newcomers++
		}
	}
	return people+min(newcomers, 1) >= Distinct || newcomers >= DistinctNewcomers
}

// failedBefore notes a failure, and tells whether the owner had one before. A
// few people for whom a service always fails tell nothing new each time, and
// must not keep everybody else from being tried.
func (b *Breaker) failedBefore(o Owner) bool {
	now := time.Now()
	last, ok := b.remembered[o]
	again := ok && now.Sub(last.last) < FailureLife
	if !again {
		last = failed{}
		if len(b.remembered) >= maxRemembered {
			clear(b.remembered)
		}
	}
	last.n++
	last.last, last.next = now, now.Add(Backoff(last.n))
	b.remembered[o] = last
	return again
}
