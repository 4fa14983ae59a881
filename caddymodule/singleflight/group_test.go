// SPDX-License-Identifier: Apache-2.0

package singleflight

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var limits = Limits{Timeout: time.Second, Waiting: 10, PerOwner: 4}

// TestOneForAll protects whatever is asked: one flight for all who want the
// same, one each for those who don't.
func TestOneForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int](limits)
		var flights atomic.Int64
		var wg sync.WaitGroup
		for n := range 8 {
			key := []string{"a", "b"}[n%2]
			wg.Go(func() {
				v, err := g.Do(t.Context(), key, key, func(context.Context) (int, error) {
					flights.Add(1)
					time.Sleep(time.Millisecond)
					return len(key), nil
				})
				if v != 1 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
			})
		}
		wg.Wait()
		if flights.Load() != 2 || g.Waiting() != 0 {
			t.Errorf("%d flights, %d are still waiting", flights.Load(), g.Waiting())
		}
	})
}

// TestDetached protects those who wait from the one who came first: neither
// their leaving nor their deadline ends the flight, and its own deadline does.
func TestDetached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int](limits)
		ctx, leave := context.WithCancel(context.WithValue(t.Context(), limits, "value"))
		fly := func(ctx context.Context) (int, error) {
			if ctx.Value(limits) != nil {
				t.Error("a value of the request's has come along")
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}
		first, second := make(chan error), make(chan error)
		began := time.Now()
		go func() { _, err := g.Do(ctx, "k", "a", fly); first <- err }()
		synctest.Wait()
		go func() { _, err := g.Do(t.Context(), "k", "b", fly); second <- err }()
		synctest.Wait()
		leave()
		if err := <-first; !errors.Is(err, context.Canceled) || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if err := <-second; !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != limits.Timeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// TestBounds protects memory from those who wait, and them from each other.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int](limits)
		release := make(chan struct{})
		fly := func(context.Context) (int, error) { <-release; return 1, nil }
		full := func(owner string) {
			t.Helper()
			if _, err := g.Do(t.Context(), "k", owner, fly); err == nil || delegation.AsRefusal(err).Code != delegation.Overloaded {
				t.Errorf("%q: %v", owner, err)
			}
		}
		var wg sync.WaitGroup
		wait := func(owner string, n int) {
			for range n {
				wg.Go(func() {
					if _, err := g.Do(t.Context(), "k", owner, fly); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
		}
		wait("a", 4)
		full("a")
		wait("b", 4)
		wait("c", 2)
		full("d")
		wait("", 20) // what is part of other flights is not held up by them
		close(release)
		wg.Wait()
		if len(g.owners) != 0 {
			t.Errorf("%v are remembered", g.owners)
		}
	})
}

// TestLeftBehind protects memory from those who do not wait: their flights go
// on without them, and there is an end to how many.
func TestLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New[string, int](limits)
		fly := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		gone, leave := context.WithCancel(t.Context())
		for n := range limits.Waiting {
			name := string(rune('a' + n))
			go func() { _, _ = g.Do(gone, name, name, fly) }()
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		if _, err := g.Do(t.Context(), "z", "z", fly); g.Waiting() != 0 || delegation.AsRefusal(err).Code != delegation.Overloaded {
			t.Errorf("%d wait; %v", g.Waiting(), err)
		}
		time.Sleep(limits.Timeout)
		synctest.Wait()
		if v, err := g.Do(t.Context(), "z", "z", func(context.Context) (int, error) { return 1, nil }); v != 1 || err != nil {
			t.Errorf("%d, %v once they have landed", v, err)
		}
	})
}
