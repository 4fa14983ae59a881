// SPDX-License-Identifier: Apache-2.0

// Package fair shares a few slots between owners, so that none of them can use
// up what all need.
package fair

import (
	"cmp"
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
	// Newest has whoever came last go first, of owners who have as many slots:
	// in an overload who has waited longest is the next to give up, and what
	// somebody leaves lying in the queue delays nobody. For what anybody can
	// send.
	Newest bool
}

// Rank orders owners: who is of a lower one goes first.
type Rank int

// The ranks.
const (
	First Rank = iota
	Middle
	Last
)

// Queue gives slots to owners in turn, in the order of their ranks.
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
// or [ErrFull] for who has to make room if too many wait.
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

// Try takes a slot if one is free, for an owner that has none. It does not wait.
func (q *Queue[O]) Try(owner O, rank Rank) (release func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lines[owner] != nil || q.running >= q.limits.Slots {
		return nil, false
	}
	l := &line[O]{owner: owner, rank: rank}
	if !q.may(l) {
		return nil, false
	}
	q.lines[owner] = l
	q.take(l)
	return sync.OnceFunc(func() { q.release(owner, rank) }), true
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
		q.settle(slices.MaxFunc(q.ring, q.makesRoom), 0, ErrFull)
	}
	return w
}

// ownersShare of the waiting room (a quarter) is what one owner may fill before
// rank counts no more.
const ownersShare = 4

// makesRoom orders lines by who has to make room: where more wait than one owner
// may have, of the last rank, where most wait, for the longest time. A crowd of
// which each has only one waiting must not have those make room who go first.
func (q *Queue[O]) makesRoom(a, b *line[O]) int {
	share := q.limits.Waiting / ownersShare
	return cmp.Or(
		max(len(a.waiting), share)-max(len(b.waiting), share),
		int(a.rank-b.rank),
		len(a.waiting)-len(b.waiting),
		cmp.Compare(b.waiting[0].number, a.waiting[0].number),
	)
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
		next := q.next()
		if next == nil {
			return
		}
		q.take(next)
		i := 0
		if q.limits.Newest {
			i = len(next.waiting) - 1
		}
		next.waiting[i].rank = next.rank
		q.settle(next, i, nil)
		if len(next.waiting) > 0 { // it is the others' turn
			i := slices.Index(q.ring, next)
			q.ring = append(slices.Delete(q.ring, i, i+1), next)
		}
	}
}

// take counts a slot that one of a line has got.
func (q *Queue[O]) take(l *line[O]) {
	l.running++
	q.running++
	if l.rank == Last {
		q.last++
	}
}

// next is the line whose turn it is; nil if nobody waits who may have a slot.
func (q *Queue[O]) next() (next *line[O]) {
	for _, l := range q.ring {
		if q.may(l) && (next == nil || q.before(l, next)) {
			if next = l; l.rank == First && !q.limits.Newest {
				break
			}
		}
	}
	return next
}

func (q *Queue[O]) before(l, other *line[O]) bool {
	if l.rank != other.rank || !q.limits.Newest {
		return l.rank < other.rank
	}
	if l.running != other.running {
		return l.running < other.running
	}
	return l.waiting[len(l.waiting)-1].number > other.waiting[len(other.waiting)-1].number
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
