// SPDX-License-Identifier: Apache-2.0

package fairqueue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// acquire takes a slot and holds it for a second.
func acquire(t *testing.T, q *Queue[string], owner string, rank Rank) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	release, err := q.Acquire(ctx, owner, rank)
	if err != nil {
		return err
	}
	time.Sleep(time.Second)
	release()
	release() // twice is once
	return nil
}

// TestOthersTurn protects who comes by now and then from one owner who fills
// the queue, and one owner's newest from what they have left lying there.
func TestOthersTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[string](Limits{Slots: 4, PerOwner: 3, Waiting: 100, NewestFirst: true})
		var all sync.WaitGroup
		for range 90 {
			all.Go(func() { _ = acquire(t, q, "flood", RankMiddle) })
		}
		synctest.Wait()
		if q.Running() != 3 {
			t.Errorf("one owner has %d slots", q.Running())
		}
		for n := range 10 {
			all.Go(func() {
				began := time.Now()
				if err := acquire(t, q, fmt.Sprint(n), RankMiddle); err != nil || time.Since(began) > 5*time.Second {
					t.Errorf("%v after %s", err, time.Since(began))
				}
			})
			all.Go(func() {
				if n == 0 {
					if err := acquire(t, q, "flood", RankMiddle); err != nil {
						t.Errorf("the newest of the flood: %v", err)
					}
				}
			})
		}
		all.Wait()
		if len(q.owners) != 0 || q.waiting != 0 || q.running != 0 || q.lastRankRunning != 0 || len(q.roundRobin) != 0 {
			t.Errorf("something is left: %+v", q)
		}
	})
}

// TestRanks protects who is known to be good from who is not.
func TestRanks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[string](Limits{Slots: 3, PerOwner: 3, LastRankSlots: 2})
		var all sync.WaitGroup
		for n := range 8 {
			all.Go(func() { _ = acquire(t, q, fmt.Sprint("bad", n), RankLast) })
		}
		synctest.Wait()
		if q.Running() != 2 {
			t.Errorf("%d slots are of the last rank", q.Running())
		}
		all.Go(func() { _ = acquire(t, q, "first there", RankFirst) })
		synctest.Wait()
		began := time.Now()
		for n := range 9 {
			rank := []Rank{RankLast, RankMiddle, RankFirst}[n/3]
			all.Go(func() {
				if err := acquire(t, q, fmt.Sprint(n), rank); rank == RankFirst && (err != nil || time.Since(began) > 2*time.Second) {
					t.Errorf("the first rank: %v after %s", err, time.Since(began))
				}
			})
			synctest.Wait()
		}
		all.Wait()
	})
}

// TestFull protects memory, and the few of an address from the many of another.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[string](Limits{Slots: 1, PerOwner: 1, Waiting: 10})
		var full atomic.Int64
		var all sync.WaitGroup
		wait := func(owner string, rank Rank) {
			all.Go(func() {
				if err := acquire(t, q, owner, rank); errors.Is(err, ErrFull) {
					full.Add(1)
					if owner != "flood" {
						t.Errorf("%s makes room", owner)
					}
				}
			})
			synctest.Wait()
		}
		for range 11 {
			wait("flood", RankMiddle)
		}
		for n := range 5 {
			wait(fmt.Sprint(n), RankMiddle)
		}
		for range 20 {
			wait("flood", RankFirst)
		}
		q.mu.Lock()
		waiting := q.waiting
		q.mu.Unlock()
		if waiting != 10 || full.Load() != 25 {
			t.Errorf("%d wait, %d were sent away", waiting, full.Load())
		}
		all.Wait()
	})
}

// TestFirstStayWhenFull protects many who share an owner that goes first, such
// as an address, from a crowd in which each is an owner of their own.
func TestFirstStayWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiting, shared = 100, 20
		q := New[string](Limits{Slots: 4, PerOwner: 3, Waiting: waiting, NewestFirst: true})
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		crowd := func(rank Rank) {
			for n := range 2 * waiting {
				all.Go(func() {
					if release, err := q.Acquire(ctx, fmt.Sprint("crowd", rank, n), rank); err == nil {
						<-ctx.Done()
						release()
					}
				})
			}
			synctest.Wait()
		}
		crowd(RankMiddle)
		var lost atomic.Int64
		for range shared {
			all.Go(func() {
				release, err := q.Acquire(ctx, "shared", RankFirst)
				if errors.Is(err, ErrFull) {
					lost.Add(1)
				} else if err == nil {
					release()
				}
			})
		}
		synctest.Wait()
		crowd(RankLast)
		crowd(RankMiddle)
		if n := lost.Load(); n > 0 {
			t.Errorf("%d of %d who go first made room for a crowd", n, shared)
		}
		leave()
		all.Wait()
	})
}

// TestGivenUp protects slots from being lost with who has gone.
func TestGivenUp(t *testing.T) {
	q := New[int](Limits{Slots: 2, PerOwner: 1})
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%7)*time.Microsecond)
			defer cancel()
			if release, err := q.Acquire(ctx, n%5, Rank(n%3)); err == nil {
				release()
			}
		})
	}
	all.Wait()
	if q.Running() != 0 || len(q.owners) != 0 {
		t.Errorf("%d slots are lost", q.Running())
	}
}

// TestNewest protects who comes now from any number of owners who wait already
// where that is wanted, and otherwise those who wait from being passed.
func TestNewest(t *testing.T) {
	for _, newest := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			q := New[string](Limits{Slots: 10, PerOwner: 5, NewestFirst: newest})
			var all sync.WaitGroup
			for n := range 100 {
				all.Go(func() {
					began := time.Now()
					err := acquire(t, q, fmt.Sprint("there", n), RankMiddle)
					if took := time.Since(began); !newest && n < 40 && (err != nil || took > time.Duration(n/10+1)*time.Second) {
						t.Errorf("the %dth in turn: %v after %s", n, err, took)
					}
				})
				synctest.Wait()
			}
			all.Go(func() {
				began := time.Now()
				if err := acquire(t, q, "now", RankMiddle); newest && (err != nil || time.Since(began) > 2*time.Second) {
					t.Errorf("the newest: %v after %s", err, time.Since(began))
				}
			})
			all.Wait()
		})
	}
}

// TestTry protects those who wait from being passed, and slots from one owner:
// it takes one that is free, and no second.
func TestTry(t *testing.T) {
	q := New[string](Limits{Slots: 3, PerOwner: 2, LastRankSlots: 1})
	try := func(owner string, rank Rank, want bool) (release func()) {
		t.Helper()
		release, ok := q.TryAcquire(owner, rank)
		if ok != want {
			t.Errorf("%s: %t", owner, ok)
		}
		return release
	}
	first := try("a", RankLast, true)
	try("a", RankFirst, false)
	try("b", RankLast, false)
	second := try("b", RankFirst, true)
	third := try("c", RankFirst, true)
	try("d", RankFirst, false)
	for _, release := range []func(){first, second, third, first} {
		release()
	}
	if q.Running() != 0 || q.lastRankRunning != 0 || len(q.owners) != 0 {
		t.Errorf("something is left: %+v", q)
	}
}
