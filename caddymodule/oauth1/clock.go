// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"sync"
	"time"
)

// maxSkew is the difference beyond which a vendor's date is not to be trusted.
const maxSkew = 24 * time.Hour

// Clock gives the timestamps of one client at one vendor, in Unix seconds. They
// never decrease, because some vendors refuse one that is lower than that of an
// earlier request (RFC 5849 section 3.3 allows it), while a machine's clock may be
// set back. The zero Clock is ready, and safe for concurrent use.
type Clock struct {
	// NeverBack has no answer of the vendor set the clock back: of a vendor that refuses
	// a timestamp which is lower than one that it has seen, an early date would have
	// every request refused until the clock is as late again. It is set before use.
	NeverBack bool

	mu   sync.Mutex
	skew time.Duration // of the vendor's clock: theirs minus ours
	last int64
}

// Timestamp returns the timestamp for the next request.
func (c *Clock) Timestamp() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, time.Now().Add(c.skew).Unix())
	return c.last
}

// Correct sets the clock by that of a vendor which has refused a request, so that a
// machine whose clock is wrong can go on. A date that differs by less than the
// tolerance from what the clock gives, or by more than a day from the machine's, is
// ignored; changed reports whether it was not.
func (c *Clock) Correct(vendor time.Time, tolerance time.Duration) (changed bool) {
	trial := c.Trial(vendor, tolerance)
	if trial == nil {
		return false
	}
	c.Adopt(trial)
	return true
}

// Trial returns a clock that is set as [Clock.Correct] would set this one, which stays
// as it is; nil for a date that is ignored. One answer with a date that is not the
// vendor's time must not change everybody's timestamps.
func (c *Clock) Trial(vendor time.Time, tolerance time.Duration) *Clock {
	now := time.Now()
	skew := vendor.Sub(now)
	ahead := vendor.Sub(time.Unix(c.at(now), 0))
	if skew.Abs() > maxSkew || ahead.Abs() < tolerance || c.NeverBack && ahead < 0 {
		return nil
	}
	return &Clock{skew: skew, NeverBack: c.NeverBack}
}

// adopted is the difference below which two clocks are the same one.
const adopted = 5 // seconds

// Adopt sets the clock as a trial that the vendor has accepted. One that shows the same
// changes nothing, so that many trials at a time do not have timestamps decrease.
func (c *Clock) Adopt(trial *Clock) {
	now := time.Now()
	theirs := trial.at(now)
	if ours := c.at(now); ours-theirs < adopted && theirs-ours < adopted {
		return
	}
	trial.mu.Lock()
	skew, last := trial.skew, trial.last
	trial.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.NeverBack { // another trial may have been adopted meanwhile
		skew, last = max(skew, c.skew), max(last, c.last)
	}
	c.skew, c.last = skew, last
}

// at returns the timestamp that the clock gives next.
func (c *Clock) at(now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.last, now.Add(c.skew).Unix())
}

// Close implements [io.Closer]: there is nothing to end.
func (*Clock) Close() error { return nil }
