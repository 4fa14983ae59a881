// SPDX-License-Identifier: Apache-2.0

package lru

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimit protects memory: a store never holds much more than its limit.
func TestLimit(t *testing.T) {
	for _, limit := range []int{1, 10, 1000, 20_000} {
		synctest.Test(t, func(t *testing.T) {
			s := New[string, int](limit)
			for n := range 3 * limit {
				who := fmt.Sprint(n)
				s.Set(who, who, n, time.Hour, false)
			}
			if n := s.Len(); n > limit+limit/20 || n < limit/2 {
				t.Errorf("%d values with a limit of %d", n, limit)
			}
		})
	}
}

// TestNobodyIsPushedOutEarly protects those who fit: up to the limit all are
// kept, however unevenly they are spread over the shards.
func TestNobodyIsPushedOutEarly(t *testing.T) {
	const limit = 20_000
	s := New[int, int](limit)
	for n := range limit {
		s.Set(n, fmt.Sprint(n), n, time.Hour, false)
	}
	if n := s.Len(); n != limit {
		t.Errorf("%d of %d values were kept", n, limit)
	}
}

// TestLeastRecentlyUsedGoes protects those who are using the app from being
// pushed out by a crowd that comes once.
func TestLeastRecentlyUsedGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, active = 4000, 400
		s := New[int, int](limit)
		for n := range active {
			s.Set(n, fmt.Sprint(n), n, time.Hour, false)
		}
		for n := active; n < 8*limit; n++ {
			s.Set(n, fmt.Sprint(n), n, time.Hour, false)
			if n%200 == 0 {
				time.Sleep(time.Second)
				for a := range active {
					s.Get(a, fmt.Sprint(a), time.Now())
				}
			}
		}
		kept := 0
		for a := range active {
			if _, ok := s.Get(a, fmt.Sprint(a), time.Now()); ok {
				kept++
			}
		}
		if kept < active*99/100 {
			t.Errorf("%d of %d values in use were kept", kept, active)
		}
	})
}

// TestFixedStays protects a value that everything else hangs on.
func TestFixedStays(t *testing.T) {
	s := New[string, int](10)
	s.Set("", "service", 7, time.Hour, true)
	for n := range 1000 {
		s.Set(fmt.Sprint(n), fmt.Sprint(n), n, time.Hour, false)
	}
	if v, ok := s.Get("", "service", time.Now()); !ok || v != 7 {
		t.Error("it was dropped to make room")
	}
}

// TestExpiry protects against old values, and memory from them.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New[string, int](1000)
		s.Set("a", "1", 1, time.Minute, false)
		s.Set("a", "2", 2, time.Hour, false)
		used := func() int64 {
			v, _ := s.shard("a").items.Get("1")
			return v.(*item[int]).lastUsed.Load()
		}
		set := used()
		time.Sleep(59 * time.Second)
		if v, ok := s.Get("a", "1", time.Now()); !ok || v != 1 {
			t.Error("it is gone before its time")
		}
		if used() == set {
			t.Error("its use was not recorded")
		}
		last := used()
		time.Sleep(time.Second)
		if v, ok := s.Peek("a", "1"); v != 1 || !ok || used() != last {
			t.Error("Peek is a use")
		}
		time.Sleep(time.Second)
		if _, ok := s.Get("a", "1", time.Now()); ok {
			t.Error("it outlives its time")
		}
		time.Sleep(sweepInterval)
		synctest.Wait()
		if s.Len() != 1 {
			t.Errorf("%d values are held", s.Len())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.Len() != 0 || s.sweeping.Load() {
			t.Errorf("%d values are held, and a sweep is scheduled: %t", s.Len(), s.sweeping.Load())
		}
		s.Set("b", "3", 3, time.Second, false)
		time.Sleep(sweepInterval + time.Second)
		synctest.Wait()
		if s.Len() != 0 {
			t.Error("a value after an empty time is never swept")
		}
	})
}

// TestUnusedCacheIsCollected protects memory from caches of configurations that
// are gone: the timer of a sweep must not keep one, with all of its values.
func TestUnusedCacheIsCollected(t *testing.T) {
	collected := make(chan struct{})
	func() {
		s := New[string, int](1000)
		s.Set("a", "1", 1, time.Hour, false)
		runtime.AddCleanup(s, func(c chan struct{}) { close(c) }, collected)
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-collected:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("it is still there")
}

// TestDelete protects the others when one owner's values are dropped.
func TestDelete(t *testing.T) {
	s := New[string, int](100_000)
	for _, owner := range []string{"a", "b"} {
		for n := range 10 {
			s.Set(owner, fmt.Sprint(owner, n), n, time.Hour, false)
		}
	}
	s.Delete("a", "a0")
	s.DeleteOwned("a", func(n int) bool { return n < 5 })
	if s.Len() != 15 {
		t.Errorf("%d values are left, want 15", s.Len())
	}
	s.DeleteFunc(func(n int) bool { return n == 9 })
	if s.Len() != 13 {
		t.Errorf("%d values are left, want 13", s.Len())
	}
}

// TestParallel protects the store from its users: the race detector watches.
func TestParallel(t *testing.T) {
	s := New[int, int](500)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 2000 {
				owner := (n*7 + g) % 900
				key := fmt.Sprint(owner)
				if v, ok := s.Get(owner, key, time.Now()); ok && v != owner {
					t.Errorf("%d's value is %d", owner, v)
				}
				s.Set(owner, key, owner, time.Hour, false)
				if n%100 == 0 {
					s.DeleteOwned(owner, func(int) bool { return true })
				}
			}
		})
	}
	wg.Wait()
}

// TestNoLife protects from a value that has no time left and is kept for ever.
func TestNoLife(t *testing.T) {
	s := New[string, int](10)
	for _, life := range []time.Duration{0, -1, -time.Hour} {
		s.Set("o", "k", 1, time.Hour, false)
		s.Set("o", "k", 2, life, false)
		if v, ok := s.Get("o", "k", time.Now()); ok {
			t.Errorf("%s: %d is kept", life, v)
		}
	}
}
