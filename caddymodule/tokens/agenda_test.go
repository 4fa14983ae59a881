// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestAgendaForgets protects memory: a token has one appointment, however long
// and busily it is used and renewed, and an agenda has an end.
func TestAgendaForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{MaxEntries: 100}, 10*time.Minute)
		appointments := func() int {
			synctest.Wait()
			e.schedule.mu.Lock()
			defer e.schedule.mu.Unlock()
			return e.schedule.count
		}
		for range 12 * 3600 {
			i.want(t, alice, i.count() > 0, "")
			time.Sleep(time.Second)
		}
		if n := appointments(); n > 2 {
			t.Errorf("%d appointments for one token", n)
		}
		for n := range 10_000 {
			i.get(t, person(fmt.Sprint(n)))
		}
		if n := appointments(); n > 2*100+1000 {
			t.Errorf("%d appointments for 100 tokens", n)
		}
		time.Sleep(time.Hour)
		i.get(t, alice)
		if n, kept := appointments(), e.entries.Len(); n > 1 || kept != 1 {
			t.Errorf("%d appointments and %d tokens are left", n, kept)
		}
	})
}

// TestAgendaEnds protects memory after a reload: a timer that ran on would keep
// an engine that is closed, and all of its tokens, until the next was due. A
// mint that ends later does not start it again.
func TestAgendaEnds(t *testing.T) {
	e, i := start(t, Options{}, time.Hour)
	i.get(t, alice)
	_ = e.Close()
	if e.schedule.timer.Stop() {
		t.Error("the timer of a closed agenda ran")
	}
	i.get(t, person("late"))
	if e.schedule.timer.Stop() {
		t.Error("a closed agenda has an appointment")
	}
}
