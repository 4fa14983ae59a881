// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// pollEvery is the least time between two looks at the leases of other
	// machines, and pollEveryPerWaiter what each waiting flight adds: thousands
	// that wait must not keep Redis busy.
	pollEvery          = 20 * time.Millisecond
	pollEveryPerWaiter = 20 * time.Microsecond
)

// errStopWaiting is that a lease is not waited for any longer: this machine mints
// without it.
var errStopWaiting = errors.New("the lease is not waited for")

// waiterQueue has the flights that wait for another machine's mint. One goroutine
// polls for all of them, while there are any.
type waiterQueue struct {
	mu      sync.Mutex
	waiting map[*tokenEntry]chan error // each gets nil when its lease is gone
	polling bool                       // the goroutine runs
}

// awaitLease returns when the lease is gone: its holder has stored the token, has
// failed, or has died. The error is errStopWaiting if the lease is not one of ours,
// or half of the flight's time is over: Redis is no reason for a request to fail.
// Otherwise it is errDown or ctx's.
func (e *tokenEntry) awaitLease(ctx context.Context, half <-chan time.Time) error {
	q := &e.leaseWaiters
	gone := make(chan error, 1)
	q.mu.Lock()
	q.waiting[e] = gone
	if !q.polling {
		q.polling = e.spawn(e.pollLeases)
	}
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.waiting, e)
	}()
	select {
	case err := <-gone:
		return err
	case <-half:
		return errStopWaiting
	case <-e.epoch.ended:
		return errDown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waiting is how many flights wait for another machine's mint.
func (f *Fleet) waiting() int {
	f.leaseWaiters.mu.Lock()
	defer f.leaseWaiters.mu.Unlock()
	return len(f.leaseWaiters.waiting)
}

// pollLeases polls until no flight waits any more.
func (f *Fleet) pollLeases() {
	q := &f.leaseWaiters
	for {
		pause := pollEvery + time.Duration(f.waiting())*pollEveryPerWaiter
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // it spreads, it protects nothing
		case <-f.ctx.Done():
			return
		}
		q.mu.Lock()
		entries := slices.Collect(maps.Keys(q.waiting))
		q.polling = len(entries) > 0
		q.mu.Unlock()
		if len(entries) == 0 {
			return
		}
		for some := range slices.Chunk(entries, 200) {
			f.pollBatch(some)
		}
	}
}

// pollBatch looks at some leases, and wakes the flights whose lease is gone.
func (f *Fleet) pollBatch(entries []*tokenEntry) {
	ep := f.health.epoch.Load()
	if ep == nil {
		return // the end of the epoch wakes them
	}
	left := make([]*redis.DurationCmd, len(entries))
	if f.do(f.ctx, ep, func(ctx context.Context) error {
		pipe := f.client.Pipeline()
		for i, e := range entries {
			left[i] = pipe.PTTL(ctx, e.leaseKey)
		}
		return execute(ctx, pipe)
	}) != nil {
		return
	}
	f.leaseWaiters.mu.Lock()
	defer f.leaseWaiters.mu.Unlock()
	for i, e := range entries {
		gone, ok := f.leaseWaiters.waiting[e]
		if !ok {
			continue
		}
		switch left := left[i].Val(); {
		case left == -2: // there is no lease
			gone <- nil
		case left < 0 || left > f.leaseTerm: // no machine of ours takes one for so long
			gone <- errStopWaiting
		default:
			continue
		}
		delete(f.leaseWaiters.waiting, e)
	}
}
