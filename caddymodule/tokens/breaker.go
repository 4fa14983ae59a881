// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// distinct is how many people in a row an issuer has to fail before it is
	// failing everybody. One person's trouble is theirs alone.
	distinct = 3

	// maxKnown bounds what a breaker remembers of whom it failed for.
	maxKnown = 1000

	firstPause = time.Second
	maxPause   = 30 * time.Second

	// rejectedPause is for credentials that the issuer does not accept, which
	// only an operator can mend.
	rejectedPause = 30 * time.Second
)

// State is what a breaker does.
type State string

// The states of a breaker.
const (
	Closed   State = "closed"    // mints go to the issuer
	Open     State = "open"      // mints are refused at once
	HalfOpen State = "half_open" // one mint goes to the issuer, to see
)

// Breaker keeps a failing service from being asked by everybody, and who asks
// from waiting for it. It opens for as long as the service says (Retry-After),
// otherwise for a second, and twice as long each time it fails again.
//
// It counts failures by person, which libraries of this kind do not: many
// failures of one person do not open it, a few people's do.
type Breaker[O comparable] struct {
	mu       sync.Mutex
	struck   map[O]struct{}
	known    map[O]time.Time // when it failed for whom last
	failures int             // openings in a row
	until    time.Time
	refusal  *delegation.Refusal // while open or half open
	probes   Pass                // how many there have been
	probing  Pass                // the one that is under way, or 0
}

// Pass is the leave to ask the service once. Those of a closed breaker are 0;
// one that finds out whether the service is back has a number of its own.
type Pass uint64

// NewBreaker returns a closed breaker.
func NewBreaker[O comparable]() *Breaker[O] {
	return &Breaker[O]{struck: make(map[O]struct{}), known: make(map[O]time.Time)}
}

// Enter tells whether the service may be asked. If it returns no refusal,
// Succeed or Fail should follow, and Leave has to.
func (b *Breaker[O]) Enter() (Pass, *delegation.Refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refusal == nil {
		return 0, nil
	}
	if now := time.Now(); now.Before(b.until) {
		return 0, again(b.refusal, b.until.Sub(now))
	}
	if b.probing != 0 {
		return 0, again(b.refusal, firstPause)
	}
	b.probes++
	b.probing = b.probes
	return b.probing, nil
}

// Leave lets somebody else find out, if this one has learnt nothing.
func (b *Breaker[O]) Leave(p Pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probing == p {
		b.probing = 0
	}
}

// Succeed notes that the service answers.
func (b *Breaker[O]) Succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.struck)
	b.failures, b.refusal, b.probing = 0, nil, 0
}

// Fail notes that the service failed for an owner; the zero owner is everybody.
func (b *Breaker[O]) Fail(p Pass, owner O, r *delegation.Refusal) {
	var everybody O
	b.mu.Lock()
	defer b.mu.Unlock()
	again := owner != everybody && b.failedFor(owner)
	switch {
	case b.refusal != nil && (p == 0 || p != b.probing):
		return // it began before the breaker opened, and tells nothing new
	case b.refusal == nil && again:
		return
	}
	b.struck[owner] = struct{}{}
	if b.refusal == nil && owner != everybody && len(b.struck) < distinct {
		return
	}
	if !again {
		b.failures++
	}
	b.refusal, b.until, b.probing = r, time.Now().Add(pause(r, b.failures)), 0
	clear(b.struck)
}

// failedFor notes a failure, and tells whether the owner had one before. A few
// people for whom a service always fails tell nothing new each time, and must
// not keep everybody else from being tried.
func (b *Breaker[O]) failedFor(owner O) (again bool) {
	now := time.Now()
	if len(b.known) >= maxKnown {
		clear(b.known)
	}
	last, ok := b.known[owner]
	b.known[owner] = now
	return ok && now.Sub(last) < failureLife
}

// BreakerStatus is a breaker's state for operators.
type BreakerStatus struct {
	State State           `json:"state"`
	Code  delegation.Code `json:"code,omitempty"` // why it is not closed
	Until time.Time       `json:"until,omitzero"` // when the service is asked again
}

// Status tells the state.
func (b *Breaker[O]) Status() BreakerStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.refusal == nil:
		return BreakerStatus{State: Closed}
	case time.Now().Before(b.until):
		return BreakerStatus{Open, b.refusal.Code, b.until}
	default:
		return BreakerStatus{State: HalfOpen, Code: b.refusal.Code}
	}
}

// pause is how long to leave a service alone after n failures in a row, with
// jitter so that several servers do not come back at once.
func pause(r *delegation.Refusal, n int) time.Duration {
	if r.Code == delegation.CredentialsRejected {
		return rejectedPause
	}
	d := firstPause << min(n-1, 10)
	d = min(d, maxPause)
	d -= time.Duration(rand.Int64N(int64(d / 4))) //nolint:gosec // it spreads, it protects nothing
	if asked := min(r.RetryAfter, delegation.MaxRetryAfter); asked > d {
		return asked
	}
	return d
}

// again is a refusal that was given before.
func again(r *delegation.Refusal, wait time.Duration) *delegation.Refusal {
	repeated := delegation.Refuse(r.Code, r.Unwrap())
	repeated.RetryAfter = wait
	return repeated
}
