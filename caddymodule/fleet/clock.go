// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"sync/atomic"
	"time"
)

const (
	// maxSkew is more than clocks differ that sessions can be verified by.
	maxSkew = 30 * time.Second

	// minSkew is no difference.
	minSkew = time.Second
)

// clock is the server's, which is the one clock of all machines.
type clock struct {
	offset  atomic.Int64 // how far it is ahead of this machine's, in nanoseconds
	trusted atomic.Pointer[serverReading]
}

// serverReading is what the server's clock said.
type serverReading struct {
	server time.Time
	at     time.Time // by this machine's, which goes on evenly
}

// expected is what it should say at a moment.
func (r *serverReading) expected(at time.Time) time.Time { return r.server.Add(at.Sub(r.at)) }

// recordServerTime notes what the server's clock said between a moment and now.
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

// serverTime is what the server's clock says now. The stream goes by it.
func (c *clock) serverTime() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// Skew is how far the clock of all machines is ahead of this machine's; ok tells
// whether it is known. More than half a minute is a clock that nobody should go
// by.
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
