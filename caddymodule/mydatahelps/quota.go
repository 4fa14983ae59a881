// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

const (
	// assumedLimit is the hourly limit until an answer says: that of a project
	// without a licence.
	assumedLimit = 1000

	window = time.Hour

	// unknownShare of the limit (1/5) is what look-ups that find nobody may spend at
	// any pace. If less than that is left of the limit, nothing is.
	unknownShare = 5

	// reservedShare of the limit (1/10) is reserved for people of whom nothing is
	// known, who may be participants. Neither reading the list nor people who were
	// looked up in vain may spend it.
	reservedShare = 10

	// burstShare of the limit (1/4) is what may be spent at once on people of whom
	// nothing is known, beyond unknownShare. What is then left, without twice what
	// is reserved, is spread over the rest of the window.
	burstShare = 4

	// maxDeferral is the longest RetryAfter for a person who could not be looked up
	// although there is quota left.
	maxDeferral = 30 * time.Second
)

// quota follows the platform's hourly limit of administrative requests, which all
// service accounts of the project share, and divides it: a part for people whom
// nobody knows, a reserve for new participants, the rest for reading the list. It
// is safe for concurrent use.
type quota struct {
	mu        sync.Mutex
	limit     int
	remaining int
	reset     time.Time

	unknownSpent int // what look-ups that found nobody have spent
	unknownReset time.Time

	pacedBudget float64 // look-ups beyond unknownShare that may be made now
	refilled    time.Time
}

func newQuota() *quota {
	return &quota{limit: assumedLimit, remaining: assumedLimit}
}

// startWindows begins new windows where old ones have ended. That of the unknown
// people is our own: it must not begin again whenever the platform's reset moves.
func (q *quota) startWindows(now time.Time) {
	if !now.Before(q.reset) {
		q.remaining, q.reset = q.limit, now.Add(window)
	}
	if !now.Before(q.unknownReset) {
		q.unknownSpent, q.unknownReset = 0, now.Add(window)
	}
}

// spend takes one request. The error is issuer_throttled until the window ends, if
// none is left.
func (q *quota) spend() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.startWindows(now)
	if q.remaining <= 0 {
		return throttled(q.reset.Sub(now), errors.New("the hourly limit of administrative requests is spent"))
	}
	q.remaining--
	return nil
}

// throttled returns a refusal issuer_throttled.
func throttled(wait time.Duration, cause error) *delegation.Refusal {
	r := delegation.Refuse(delegation.IssuerThrottled, cause)
	r.RetryAfter = wait
	return r
}

// observe takes over the limits in an answer's RateLimit headers, whose reset is in
// seconds from now.
func (q *quota) observe(h http.Header) {
	limit, ok1 := headerCount(h, "RateLimit-Limit")
	remaining, ok2 := headerCount(h, "RateLimit-Remaining")
	seconds, ok3 := headerCount(h, "RateLimit-Reset")
	if !ok1 || !ok2 || !ok3 || limit == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.startWindows(now)
	reset := now.Add(min(time.Duration(seconds)*time.Second, 24*time.Hour))
	if limit == q.limit && reset.Sub(q.reset).Abs() < 10*time.Second {
		// Answers overtake each other: within a window only the least counts.
		remaining = min(remaining, q.remaining)
	}
	q.limit, q.remaining, q.reset = limit, remaining, reset
}

// headerCount returns a header's whole number.
func headerCount(h http.Header, name string) (int, bool) {
	n, err := strconv.ParseUint(h.Get(name), 10, 31)
	return int(n), err == nil
}

// exhaust records that the limit is spent (status 429), for wait or a minute.
func (q *quota) exhaust(wait time.Duration) {
	if wait <= 0 {
		wait = time.Minute
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remaining, q.reset = 0, time.Now().Add(wait)
}

// spendUnknown takes a look-up, of which it is not known yet whether it finds
// anybody, from the budget for unknown people. It returns false if that is spent:
// then the list has to do, of which one request reads a hundred participants.
func (q *quota) spendUnknown() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.startWindows(time.Now())
	share := q.limit / unknownShare
	if q.unknownSpent >= share || q.remaining < share {
		return false
	}
	q.unknownSpent++
	return true
}

// refundUnknown gives back what spendUnknown took, for a look-up that found a
// participant.
func (q *quota) refundUnknown() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unknownSpent = max(0, q.unknownSpent-1)
}

// spendPaced takes a single look-up beyond unknownShare, of a person who may or may
// not be a participant. What is left of the limit is spread over what is left of
// its window, with some saved for people who come for the first time. seen is a
// person who was looked up in vain, or could not be looked up, before. The error is
// issuer_throttled.
func (q *quota) spendPaced(seen bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.startWindows(now)
	reserved, burst := float64(q.limit/reservedShare), float64(q.limit/burstShare)
	rate := max(float64(q.remaining)-2*reserved, 0) / max(q.reset.Sub(now).Seconds(), 1)
	if q.refilled.IsZero() {
		q.pacedBudget = burst
	}
	q.pacedBudget = min(q.pacedBudget+rate*now.Sub(q.refilled).Seconds(), burst, float64(q.remaining))
	q.refilled = now
	needed := 1.0
	if seen {
		needed += reserved / 2
	}
	if q.pacedBudget >= needed && (!seen || q.remaining > int(reserved)) {
		q.pacedBudget--
		return nil
	}
	wait := q.reset.Sub(now)
	if rate > 0 {
		wait = min(wait, maxDeferral, max(time.Duration((needed-q.pacedBudget)/rate*float64(time.Second)), time.Second))
	}
	return throttled(wait, errors.New("the hourly limit of administrative requests leaves little for people who are not known"))
}

// refundPaced gives back what spendPaced took, for a look-up that found a
// participant.
func (q *quota) refundPaced() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pacedBudget++
}

// canAfford reports whether reading so many pages of the list leaves what is reserved.
func (q *quota) canAfford(pages int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.startWindows(time.Now())
	return q.remaining-pages >= q.limit/reservedShare
}

// halfLimit returns half of the limit.
func (q *quota) halfLimit() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.limit / 2
}

// untilReset returns how long the window lasts.
func (q *quota) untilReset() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.startWindows(now)
	return q.reset.Sub(now)
}

// hasSlack reports whether there is enough left for work that could as well wait:
// more than half of the limit.
func (q *quota) hasSlack() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.startWindows(time.Now())
	return q.remaining > q.limit/2
}

// minInterval returns how often work that takes n requests may be done to spend at
// most one share-th of the limit.
func (q *quota) minInterval(n, share int) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Duration(n) * time.Duration(share) * window / time.Duration(q.limit)
}
