// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestSkew protects moments from clocks that differ: the server's counts for
// all, and milliseconds are no difference.
func TestSkew(t *testing.T) {
	for _, c := range []struct{ ahead, want time.Duration }{
		{20 * time.Millisecond, 0}, {-900 * time.Millisecond, 0}, {20 * time.Second, 20 * time.Second}, {-20 * time.Second, -20 * time.Second}, {-time.Hour, 0},
	} {
		f, began := new(Fleet), time.Now()
		f.recordServerTime(began.Add(c.ahead), began)
		if got, ok := f.Skew(); !ok || (got-c.want).Abs() > time.Millisecond {
			t.Errorf("%s ahead: %s", c.ahead, got)
		}
	}
}

// TestClockJumps protects moments from a server whose clock jumps: it is not
// followed, until it says what it should or agrees with this machine's.
func TestClockJumps(t *testing.T) {
	for _, c := range []struct{ before, after, want time.Duration }{
		{0, 20 * time.Second, 0},
		{0, -20 * time.Second, 0},
		{10 * time.Second, -20 * time.Second, 10 * time.Second},
		{10 * time.Second, 0, 0}, // was set right
		{10 * time.Second, 10*time.Second + 300*time.Millisecond, 10*time.Second + 300*time.Millisecond},
		{-time.Hour, 20 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := new(Fleet)
			if _, ok := f.Skew(); ok {
				t.Error("known before it was asked")
			}
			f.recordServerTime(time.Now().Add(c.before), time.Now())
			for range 60 {
				time.Sleep(time.Second)
				f.recordServerTime(time.Now().Add(c.after), time.Now())
			}
			if got, _ := f.Skew(); got != c.want {
				t.Errorf("%s, then %s: %s; want %s", c.before, c.after, got, c.want)
			}
			if got := time.Until(f.serverTime()); got != c.after {
				t.Errorf("the stream goes by %s; want %s", got, c.after)
			}
		})
	}
}
