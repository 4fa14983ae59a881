// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"sync/atomic"
	"time"
)

const (
	// maxSkew is the most that a clock may differ by for sessions to be verified
	// with it.
	maxSkew = 30 * time.Second

	// minSkew is a difference that counts as none.
	minSkew = time.Second
)

// clock is the Redis server's, which is the one clock of all machines.
type clock struct {
	offset  atomic.Int64 // how far it is ahead of this machine's, in nanoseconds
	trusted atomic.Pointer[serverReading]
}

// serverReading is a time of the server's clock, and the moment at which it was
// read, by this machine's monotonic clock.
type serverReading struct {
	server time.Time
	at     time.Time
}

// expected returns the time that the server's clock should have at a moment.
func (r *serverReading) expected(at time.Time) time.Time { return r.server.Add(at.Sub(r.at)) }

// recordServerTime keeps a time of the server's clock that was read between began
// and now.
func (c *clock) recordServerTime(server, began time.Time) {
	at := began.Add(time.Since(began) / 2)
	offset := server.Sub(at)
	c.offset.Store(int64(offset))
	// A clock that jumps, such as that of a server that takes over, is not
	// followed: whoever signs out then would stay signed in, or could not sign
	// in anew. Unless it agrees with this machine's: then it was set right.
	if r := c.trusted.Load(); r != nil && offset.Abs() > minSkew && server.Sub(r.expected(at)).Abs() > minSkew {
		return
	}
	c.trusted.Store(&serverReading{server, at})
}

// serverTime returns the time of the server's clock. The stream goes by it.
func (c *clock) serverTime() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Skew returns how far the clock of all machines is ahead of this machine's; ok is
// false before it is known. It is 0 within a second, and where it is more than half
// a minute: such a clock is not to be trusted.
func (c *clock) Skew() (skew time.Duration, ok bool) {
	r := c.trusted.Load()
	if r == nil {
		return 0, false
	}
	now := time.Now()
	skew = r.expected(now).Sub(now)
	if skew.Abs() <= minSkew || skew.Abs() > maxSkew {
		skew = 0
	}
	return skew, true
}
