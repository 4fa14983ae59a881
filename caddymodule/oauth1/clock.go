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
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	skew := vendor.Sub(now)
	given := time.Unix(max(c.last, now.Add(c.skew).Unix()), 0)
	if skew.Abs() > maxSkew || vendor.Sub(given).Abs() < tolerance {
		return false
	}
	c.skew, c.last = skew, 0
	return true
}

// Close implements [io.Closer]: there is nothing to end.
func (*Clock) Close() error { return nil }
