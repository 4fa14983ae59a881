// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"math/rand/v2"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// State is what a breaker does.
type State string

// The states of a breaker.
const (
	Closed   State = "closed"    // questions go to the service
	Open     State = "open"      // questions are refused at once
	HalfOpen State = "half_open" // one question goes to the service, to see
)

// Status is a breaker's state for operators.
type Status struct {
	State State           `json:"state"`
	Code  delegation.Code `json:"code,omitempty"` // why it is not closed
	Until time.Time       `json:"until,omitzero"` // when the service is asked again
}

// Status tells the state.
func (b *Breaker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.refusal == nil:
		return Status{State: Closed}
	case time.Now().Before(b.until):
		return Status{Open, b.refusal.Code, b.until}
	default:
		return Status{State: HalfOpen, Code: b.refusal.Code}
	}
}

const (
	minDelay = time.Second
	maxDelay = 30 * time.Second

	// rejectedDelay is for credentials that a service does not accept, which
	// only an operator can mend.
	rejectedDelay = 30 * time.Second
)

// RetryDelay is how long to leave whoever gave a refusal alone after n of them in a
// row: as long as it asks (Retry-After), within bounds.
func RetryDelay(r *delegation.Refusal, n int) time.Duration {
	if r.Code == delegation.CredentialsRejected {
		return rejectedDelay
	}
	return max(Backoff(n), min(r.RetryAfter, delegation.MaxRetryAfter))
}

// Backoff is how long to pause after n failures in a row: from a second to
// thirty, with jitter so that several servers do not come back at once.
func Backoff(n int) time.Duration {
	d := min(minDelay<<min(n-1, 10), maxDelay)
	return d - time.Duration(rand.Int64N(int64(d/4))) //nolint:gosec // it spreads, it protects nothing
}

// Repeat is a refusal that was given before, for who asks now.
func Repeat(r *delegation.Refusal, wait time.Duration) *delegation.Refusal {
	repeated := delegation.Refuse(r.Code, r.Unwrap())
	repeated.RetryAfter = wait
	return repeated
}
