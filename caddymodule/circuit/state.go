// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math/rand/v2"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// State is the state of a circuit breaker.
type State string

// The states of a circuit breaker.
const (
	Closed   State = "closed"    // questions go to the service
	Open     State = "open"      // questions are refused at once
	HalfOpen State = "half_open" // a probe may go to the service
)

// Status is the state of a breaker, as the admin API shows it.
type Status struct {
	State State           `json:"state"`
	Code  delegation.Code `json:"code,omitempty"` // why it is not closed
	Until time.Time       `json:"until,omitzero"` // when the service is asked again
	Since time.Time       `json:"since,omitzero"` // when it was closed last
}

// Status returns the state.
func (b *Breaker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.refusal == nil:
		return Status{State: Closed}
	case time.Now().Before(b.until):
		return Status{Open, b.refusal.Code, b.until, b.since.UTC()}
	default:
		return Status{State: HalfOpen, Code: b.refusal.Code, Since: b.since.UTC()}
	}
}

const (
	minDelay = time.Second
	maxDelay = 30 * time.Second

	// rejectedDelay is the delay after a service has not accepted the operator's
	// credentials, which only the operator can correct.
	rejectedDelay = 30 * time.Second
)

// RetryDelay returns how long not to ask again after n refusals in a row: the
// backoff, or the refusal's RetryAfter up to [delegation.MaxRetryAfter] if that
// is longer; 30 s after rejected credentials.
func RetryDelay(r *delegation.Refusal, n int) time.Duration {
	if r.Code == delegation.CredentialsRejected {
		return rejectedDelay
	}
	return max(Backoff(n), min(r.RetryAfter, delegation.MaxRetryAfter))
}

// Backoff returns the delay after n failures in a row: from 1 s to 30 s, doubling,
// up to a quarter less by jitter so that several servers do not come back at once.
func Backoff(n int) time.Duration {
	d := min(minDelay<<min(n-1, 10), maxDelay)
	return d - time.Duration(rand.Int64N(int64(d/4))) //nolint:gosec // it spreads, it protects nothing
}

// Repeat returns a remembered refusal for another request, with wait as its
// RetryAfter.
func Repeat(r *delegation.Refusal, wait time.Duration) *delegation.Refusal {
	repeated := delegation.Refuse(r.Code, r.Unwrap())
	repeated.RetryAfter = wait
	return repeated
}
