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
	// asking is how long it is at least until the leases of other machines are
	// looked at again, and for each of them a bit longer: thousands that wait
	// must not keep Redis busy.
	asking    = 20 * time.Millisecond
	askingFor = 20 * time.Microsecond
)

// errAlone is why a lease is not waited for any longer: this machine mints
// without it.
var errAlone = errors.New("the lease is not waited for")

// queue are the flights that wait for another machine's mint. One goroutine
// asks for all of them, while there are any.
type queue struct {
	mu      sync.Mutex
	waiting map[*place]chan error // gets nil when the lease is gone
	asked   bool
}

// wait returns when the lease is gone: its holder has stored the token, has
// failed, or has died. The error is errAlone if it is not one of ours, or half
// of the flight's time is over: Redis is no reason for a request to fail.
func (p *place) wait(ctx context.Context, half <-chan time.Time) error {
	q := &p.queue
	gone := make(chan error, 1)
	q.mu.Lock()
	q.waiting[p] = gone
	if !q.asked {
		q.asked = p.spawn(p.ask)
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
		return errAlone
	case <-p.link.down:
		return errDown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Waiting is how many flights wait for another machine's mint.
func (f *Fleet) Waiting() int {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	return len(f.queue.waiting)
}

func (f *Fleet) ask() {
	q := &f.queue
	for {
		pause := asking + time.Duration(f.Waiting())*askingFor
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // it spreads, it protects nothing
		case <-f.ctx.Done():
			return
		}
		q.mu.Lock()
		places := slices.Collect(maps.Keys(q.waiting))
		q.asked = len(places) > 0
		q.mu.Unlock()
		if len(places) == 0 {
			return
		}
		for some := range slices.Chunk(places, 200) {
			f.askFor(some)
		}
	}
}

func (f *Fleet) askFor(places []*place) {
	l := f.health.link.Load()
	if l == nil {
		return // they leave by themselves
	}
	left := make([]*redis.DurationCmd, len(places))
	if f.do(f.ctx, l, func(ctx context.Context) error {
		pipe := f.client.Pipeline()
		for i, p := range places {
			left[i] = pipe.PTTL(ctx, p.lease)
		}
		return execute(ctx, pipe)
	}) != nil {
		return
	}
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	for i, p := range places {
		gone, ok := f.queue.waiting[p]
		if !ok {
			continue
		}
		switch left := left[i].Val(); {
		case left == -2: // there is none
			gone <- nil
		case left < 0 || left > f.term: // no machine of ours gives it so long
			gone <- errAlone
		default:
			continue
		}
		delete(f.queue.waiting, p)
	}
}
