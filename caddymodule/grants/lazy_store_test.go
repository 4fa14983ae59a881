// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLazyStoreTriesAgain protects requests from waiting for a database that is
// away, and the database from being asked by each of them: one tries for all,
// less and less often. It protects the log as well: an outage is told once, however
// the database puts it, and what an operator has to mend when that changes.
func TestLazyStoreTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)}
		var tries atomic.Int64
		var away, wrong atomic.Bool
		away.Store(true)
		var mu sync.Mutex
		var told []string
		o := NewLazyStore(at.File, func() (Options, error) {
			tries.Add(1)
			switch {
			case wrong.Load():
				return at, errors.New("the keyset is another's")
			case away.Load():
				return at, &unavailableError{"opening", fmt.Sprintf("it is away, attempt %d", tries.Load()), false}
			}
			return at, nil
		}).OnChange(func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				told = append(told, "open")
			} else {
				told = append(told, err.Error())
			}
		})
		var waiting sync.WaitGroup
		for range 100 {
			waiting.Go(func() {
				if _, err := o.Store(t.Context()); !errors.Is(err, ErrUnavailable) || NeedsOperator(err) {
					t.Errorf("while it is away: %v", err)
				}
			})
		}
		waiting.Wait()
		if n := tries.Load(); n != 1 {
			t.Errorf("100 requests have it tried %d times", n)
		}
		time.Sleep(10 * time.Minute)
		if n := tries.Load(); n < 20 || n > 60 {
			t.Errorf("in ten minutes it was tried %d times", n)
		}
		wrong.Store(true)
		time.Sleep(time.Minute)
		if _, err := o.Store(t.Context()); !NeedsOperator(err) {
			t.Errorf("with a wrong keyset: %v", err)
		}
		wrong.Store(false)
		away.Store(false)
		time.Sleep(time.Minute)
		if _, err := o.Store(t.Context()); err != nil {
			t.Error(err)
		}
		mu.Lock()
		if len(told) != 2 || told[0] != "the keyset is another's" || told[1] != "open" {
			t.Errorf("told %q", told)
		}
		mu.Unlock()
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		if _, err := o.Store(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("when it is closed: %v", err)
		}
	})
}

// TestLazyStoreClosedUnused protects a reload from waiting for a store that nobody
// has wanted, or that is away.
func TestLazyStoreClosedUnused(t *testing.T) {
	unused := NewLazyStore("", func() (Options, error) { return Options{}, errors.New("not to be asked") })
	if err := unused.Close(); err != nil {
		t.Error(err)
	}
	_, err := unused.Store(t.Context())
	want(t, "closed, unused", err, ErrUnavailable)
	away := NewLazyStore("", func() (Options, error) { return Options{}, ErrUnavailable })
	_, err = away.Store(t.Context())
	want(t, "away", err, ErrUnavailable)
	if err := away.Close(); err != nil {
		t.Error(err)
	}
}
