// SPDX-License-Identifier: Apache-2.0

// Package fair shares a few slots between owners, so that none of them can use
// up what all need.
package fair

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrFull is the error for whoever has to make room in the waiting room.
var ErrFull = errors.New("too many are waiting")

// Limits of a queue.
type Limits struct {
	// Slots is how many may run at once.
	Slots int
	// PerOwner is how many of these may be one owner's.
	PerOwner int
	// Last is how many of them may be of owners of the rank [Last]. 0: all.
	Last int
	// Waiting is how many may wait. 0: any number.
	Waiting int
}

// Rank orders owners: who is of a lower one goes first.
type Rank int

// The ranks.
const (
	First Rank = iota
	Middle
	Last
)

// Queue gives slots to owners in turn, in the order of their ranks. Of one
// owner's the newest goes first: in an overload who has waited longest is the
// next to give up, and what one leaves lying in the queue does not delay the
// others of the same address.
type Queue[O comparable] struct {
	limits Limits

	mu      sync.Mutex
	running int
	last    int // of them, of the rank Last
	waiting int
	number  uint64 // of who came last
	lines   map[O]*line[O]
	ring    []*line[O] // those in which somebody waits, in turn
}

// line is one owner's.
type line[O comparable] struct {
	owner   O
	rank    Rank
	running int
	waiting []*waiter
}

type waiter struct {
	number uint64
	rank   Rank          // when it got its slot
	done   chan struct{} // closed when that is decided
	err    error
}

// New returns a queue in which nobody is.
func New[O comparable](limits Limits) *Queue[O] {
	return &Queue[O]{limits: limits, lines: make(map[O]*line[O])}
}

// Running is how many slots are taken.
func (q *Queue[O]) Running() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running
}

// Acquire waits for a slot, and returns what gives it back. The error is ctx's,
// or [ErrFull] for the oldest of those of whom most wait, if too many do.
func (q *Queue[O]) Acquire(ctx context.Context, owner O, rank Rank) (release func(), err error) {
	w := q.enter(owner, rank)
	select {
	case <-w.done:
	case <-ctx.Done():
		q.leave(owner, w, ctx.Err())
	}
	if w.err != nil {
		return nil, w.err
	}
	return sync.OnceFunc(func() { q.release(owner, w.rank) }), nil
}

func (q *Queue[O]) enter(owner O, rank Rank) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[owner]
	if l == nil {
		l = &line[O]{owner: owner}
		q.lines[owner] = l
	}
	l.rank = rank // the latest counts for all
	q.number++
	w := &waiter{number: q.number, done: make(chan struct{})}
	if len(l.waiting) == 0 {
		q.ring = append(q.ring, l)
	}
	l.waiting = append(l.waiting, w)
	q.waiting++
	q.dispatch()
	if q.limits.Waiting > 0 && q.waiting > q.limits.Waiting {
		fullest := slices.MaxFunc(q.ring, fuller)
		q.settle(fullest, 0, ErrFull)
	}
	return w
}

// fuller orders lines by who has to make room: where most wait, of the last
// rank, for the longest time.
func fuller[O comparable](a, b *line[O]) int {
	if n := len(a.waiting) - len(b.waiting); n != 0 {
		return n
	}
	if n := int(a.rank - b.rank); n != 0 {
		return n
	}
	if a.waiting[0].number < b.waiting[0].number {
		return 1
	}
	return -1
}

// leave ends the waiting of one who gives up, unless it has ended just now.
func (q *Queue[O]) leave(owner O, w *waiter, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[owner]
	if l == nil {
		return
	}
	if i := slices.Index(l.waiting, w); i >= 0 {
		q.settle(l, i, err)
	}
}

func (q *Queue[O]) release(owner O, rank Rank) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[owner]
	l.running--
	q.running--
	if rank == Last {
		q.last--
	}
	q.drop(l)
	q.dispatch()
}

// dispatch gives free slots away.
func (q *Queue[O]) dispatch() {
	for q.running < q.limits.Slots {
		var next *line[O]
		for _, l := range q.ring {
			if (next == nil || l.rank < next.rank) && q.may(l) {
				if next = l; l.rank == First {
					break
				}
			}
		}
		if next == nil {
			return
		}
		next.running++
		q.running++
		newest := len(next.waiting) - 1
		if next.waiting[newest].rank = next.rank; next.rank == Last {
			q.last++
		}
		q.settle(next, newest, nil)
		if len(next.waiting) > 0 { // it is the others' turn
			i := slices.Index(q.ring, next)
			q.ring = append(slices.Delete(q.ring, i, i+1), next)
		}
	}
}

func (q *Queue[O]) may(l *line[O]) bool {
	return l.running < q.limits.PerOwner && (l.rank < Last || q.limits.Last == 0 || q.last < q.limits.Last)
}

// settle ends the waiting of the i-th of a line.
func (q *Queue[O]) settle(l *line[O], i int, err error) {
	w := l.waiting[i]
	l.waiting = slices.Delete(l.waiting, i, i+1)
	q.waiting--
	if len(l.waiting) == 0 {
		i := slices.Index(q.ring, l)
		q.ring = slices.Delete(q.ring, i, i+1)
		q.drop(l)
	}
	w.err = err
	close(w.done)
}

// drop forgets a line in which nobody is.
func (q *Queue[O]) drop(l *line[O]) {
	if l.running == 0 && len(l.waiting) == 0 {
		delete(q.lines, l.owner)
	}
}
