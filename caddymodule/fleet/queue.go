// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
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

// queue are the flights that wait for another machine's mint. One goroutine
// asks for all of them, while there are any.
type queue struct {
	mu      sync.Mutex
	waiting map[*place]chan struct{} // closed when the lease is gone
	asked   bool
}

// wait returns when the lease is gone: its holder has stored the token, has
// failed, or has died.
func (p *place) wait(ctx context.Context) error {
	q := &p.queue
	gone := make(chan struct{})
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
	case <-gone:
		return nil
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
	leased := make([]*redis.IntCmd, len(places))
	if f.do(f.ctx, l, func(ctx context.Context) error {
		pipe := f.client.Pipeline()
		for i, p := range places {
			leased[i] = pipe.Exists(ctx, p.lease)
		}
		return execute(ctx, pipe)
	}) != nil {
		return
	}
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	for i, p := range places {
		if gone, ok := f.queue.waiting[p]; ok && leased[i].Val() == 0 {
			close(gone)
			delete(f.queue.waiting, p)
		}
	}
}
