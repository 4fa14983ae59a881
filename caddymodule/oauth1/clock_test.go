// SPDX-License-Identifier: Apache-2.0

package oauth1

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestClock protects people whose vendor refuses a timestamp that is lower than an
// earlier one, and those whose server's clock is wrong.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		start := time.Now().Unix()
		at := func(want int64, when string) {
			t.Helper()
			if got := c.Timestamp() - start; got != want {
				t.Errorf("%s: %d, want %d", when, got, want)
			}
		}
		at(0, "at first")
		time.Sleep(10 * time.Second)
		at(10, "later")
		// The machine was ahead, and is set back.
		c.last += 100
		at(110, "after the machine's clock was set back")
		c.Correct(time.Now().Add(103*time.Second), 5*time.Second)
		at(110, "refused by a vendor that is as good as there: a request has overtaken another")
		c.Correct(time.Now(), 5*time.Second)
		at(10, "refused by a vendor whose clock is the machine's")
		c.Correct(time.Now().Add(10*time.Minute), 5*time.Second)
		at(610, "refused by a vendor whose clock is 10 minutes ahead")
		time.Sleep(10 * time.Second)
		at(620, "later")
		c.Correct(time.Now().Add(48*time.Hour), 5*time.Second)
		at(620, "refused by a vendor with a date from nowhere")

		early, late := c.Trial(time.Now().Add(-time.Hour), 5*time.Second), c.Trial(time.Now().Add(-time.Hour), 5*time.Second)
		at(620, "while a trial is under way")
		time.Sleep(3 * time.Second)
		if got := late.Timestamp() - start; got != 20-3600+3 {
			t.Errorf("the trial gives %d", got)
		}
		c.Adopt(late)
		at(20-3600+3, "when the vendor has accepted the trial")
		c.last++
		c.Adopt(early)
		at(20-3600+4, "after another trial of the same time: timestamps do not decrease")
		if c.Trial(time.Now().Add(-time.Hour), 5*time.Second) != nil {
			t.Error("a date that is the clock's own is tried")
		}
	})
}

// TestClockNeverBack protects people whose vendor refuses a timestamp lower than one that
// it has seen: whatever dates its answers have, in whatever order, timestamps do not
// fall, and a clock that is behind is still set right.
func TestClockNeverBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Clock{NeverBack: true}
		start := time.Now().Unix()
		at := func(want int64, when string) {
			t.Helper()
			if got := c.Timestamp() - start; got != want {
				t.Errorf("%s: %d, want %d", when, got, want)
			}
		}
		at(0, "at first")
		if !c.Correct(time.Now().Add(time.Hour), 5*time.Second) {
			t.Error("a vendor that is ahead is not followed")
		}
		at(3600, "by a vendor an hour ahead")
		if c.Correct(time.Now(), 5*time.Second) || c.Trial(time.Now().Add(-time.Hour), 5*time.Second) != nil {
			t.Error("a date that is back is taken")
		}
		at(3600, "after dates that were earlier")
		near, far := c.Trial(time.Now().Add(2*time.Hour), 5*time.Second), c.Trial(time.Now().Add(3*time.Hour), 5*time.Second)
		far.Timestamp()
		c.Adopt(far)
		at(3*3600, "by the later of two trials")
		c.Adopt(near)
		at(3*3600, "by the earlier one, whose answer came last")
		time.Sleep(10 * time.Second)
		at(3*3600+10, "later")
	})
}
