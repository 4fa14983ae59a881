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
	// pollEvery is how long it is at least until the leases of other machines are
	// looked at again, and for each of them a bit longer: thousands that wait
	// must not keep Redis busy.
	pollEvery          = 20 * time.Millisecond
	pollEveryPerWaiter = 20 * time.Microsecond
)

// errStopWaiting is why a lease is not waited for any longer: this machine mints
// without it.
var errStopWaiting = errors.New("the lease is not waited for")

// waiterQueue are the flights that wait for another machine's mint. One goroutine
// asks for all of them, while there are any.
type waiterQueue struct {
	mu      sync.Mutex
	waiting map[*tokenEntry]chan error // gets nil when the lease is gone
	polling bool
}

// awaitLease returns when the lease is gone: its holder has stored the token, has
// failed, or has died. The error is errAlone if it is not one of ours, or half
// of the flight's time is over: Redis is no reason for a request to fail.
func (p *tokenEntry) awaitLease(ctx context.Context, half <-chan time.Time) error {
	q := &p.leaseWaiters
	gone := make(chan error, 1)
	q.mu.Lock()
	q.waiting[p] = gone
	if !q.polling {
		q.polling = p.spawn(p.pollLeases)
	}
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.waiting, p)
	}()
	select {
	case err := <-gone:
		return err
	case <-half:
		return errStopWaiting
	case <-p.epoch.ended:
		return errDown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Waiting is how many flights wait for another machine's mint.
func (f *Fleet) Waiting() int {
	f.leaseWaiters.mu.Lock()
	defer f.leaseWaiters.mu.Unlock()
	return len(f.leaseWaiters.waiting)
}

func (f *Fleet) pollLeases() {
	q := &f.leaseWaiters
	for {
		pause := pollEvery + time.Duration(f.Waiting())*pollEveryPerWaiter
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // it spreads, it protects nothing
		case <-f.ctx.Done():
			return
		}
		q.mu.Lock()
		places := slices.Collect(maps.Keys(q.waiting))
		q.polling = len(places) > 0
		q.mu.Unlock()
		if len(places) == 0 {
			return
		}
		for some := range slices.Chunk(places, 200) {
			f.pollBatch(some)
		}
	}
}

func (f *Fleet) pollBatch(places []*tokenEntry) {
	l := f.health.epoch.Load()
	if l == nil {
		return // they leave by themselves
	}
	left := make([]*redis.DurationCmd, len(places))
	if f.do(f.ctx, l, func(ctx context.Context) error {
		pipe := f.client.Pipeline()
		for i, p := range places {
			left[i] = pipe.PTTL(ctx, p.leaseKey)
		}
		return execute(ctx, pipe)
	}) != nil {
		return
	}
	f.leaseWaiters.mu.Lock()
	defer f.leaseWaiters.mu.Unlock()
	for i, p := range places {
		gone, ok := f.leaseWaiters.waiting[p]
		if !ok {
			continue
		}
		switch left := left[i].Val(); {
		case left == -2: // there is none
			gone <- nil
		case left < 0 || left > f.leaseTerm: // no machine of ours gives it so long
			gone <- errStopWaiting
		default:
			continue
		}
		delete(f.leaseWaiters.waiting, p)
	}
}
