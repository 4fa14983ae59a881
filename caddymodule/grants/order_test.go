// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestR12_SameMillisecond protects a key that somebody has just consented to
// from being suspended for the one before, which was refused: two changes in one
// millisecond are two versions.
func TestR12_SameMillisecond(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		s := opened(t, at)
		before := connected(t, s, "alice", "1", "old")
		connected(t, s, "alice", "1", "new")
		alter(t, s, fmt.Sprintf("UPDATE grants SET changed = %d", millis(before.Changed)))
		if done, err := s.Suspend(t.Context(), before, "refused"); done || err != nil {
			t.Errorf("suspended for what was before: %v %v", done, err)
		}
		now, err := s.Find(t.Context(), owner("alice"))
		if err != nil || now.State != Active {
			t.Fatalf("%+v %v", now, err)
		}
		if done, err := s.Suspend(t.Context(), now, "refused"); !done || err != nil {
			t.Errorf("%v %v", done, err)
		}
		alter(t, s, fmt.Sprintf("UPDATE grants SET changed = %d", millis(now.Changed)))
		if _, err := s.Resume(t.Context(), now, true); err == nil {
			t.Error("resumed by what was read before it was suspended")
		}
	})
}

// TestR12_ClocksApart protects who consents again on a machine whose clock is
// behind: what the platform has told last counts, not what was told by the
// latest clock.
func TestR12_ClocksApart(t *testing.T) {
	at := Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)}
	connected(t, opened(t, at), "alice", "1", "older") // by the clock of today
	synctest.Test(t, func(t *testing.T) {              // by one that stands at the year 2000
		s, err := Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		second := stagedFlow(t, s, newFlow("alice"), "1", "newer")
		if _, first, err := s.Complete(t.Context(), second.returned()); err != nil || !first {
			t.Errorf("it counts as the older one: %v %v", first, err)
		}
		holds(t, s, "alice", "1", "newer")
	})
}

// TestBindRace protects two machines from binding two people to one participant,
// or one person to two, at once.
func TestBindRace(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		at.Timeout = time.Minute
		stores := []*Store{opened(t, at), opened(t, at)}
		results := make([]error, 40)
		crowd(len(results), func(i int) {
			results[i] = stores[i%2].BindIf(t.Context(), owner(fmt.Sprint("user-", i)), "participant", always)
		})
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else {
				want(t, "who comes second", err, ErrConflict)
			}
		}
		if won != 1 {
			t.Errorf("%d have the participant", won)
		}
		crowd(len(results), func(i int) {
			results[i] = stores[i%2].BindIf(t.Context(), owner("one"), fmt.Sprint("participant-", i), always)
		})
		won = 0
		for _, err := range results {
			if err == nil {
				won++
			}
		}
		if won != 1 {
			t.Errorf("the person has %d participants", won)
		}
	})
}
