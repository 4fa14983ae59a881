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
	// LastRankSlots is how many of them may be of owners of the rank [Last]. 0: all.
	LastRankSlots int
	// Waiting is how many may wait. 0: any number.
	Waiting int
	// NewestFirst has whoever came last go first, of owners who have as many slots:
	// in an overload who has waited longest is the next to give up, and what
	// somebody leaves lying in the queue delays nobody. For what anybody can
	// send.
	NewestFirst bool
}

// Rank orders owners: who is of a lower one goes first.
type Rank int

// The ranks.
const (
	RankFirst Rank = iota
	RankMiddle
	RankLast
)

// Queue gives slots to owners in turn, in the order of their ranks.
type Queue[O comparable] struct {
	limits Limits

	mu              sync.Mutex
	running         int
	lastRankRunning int // of them, of the rank Last
	waiting         int
	arrivals        uint64 // of who came last
	owners          map[O]*ownerQueue[O]
	roundRobin      []*ownerQueue[O] // those in which somebody waits, in turn
}

// ownerQueue is one owner's.
type ownerQueue[O comparable] struct {
	owner   O
	rank    Rank
	running int
	waiting []*waiter
}

type waiter struct {
	arrival uint64
	rank    Rank          // when it got its slot
	done    chan struct{} // closed when that is decided
	err     error
}

// New returns a queue in which nobody is.
func New[O comparable](limits Limits) *Queue[O] {
	return &Queue[O]{limits: limits, owners: make(map[O]*ownerQueue[O])}
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
	w := q.enqueue(owner, rank)
	select {
	case <-w.done:
	case <-ctx.Done():
		q.abandon(owner, w, ctx.Err())
	}
	if w.err != nil {
		return nil, w.err
	}
	return sync.OnceFunc(func() { q.release(owner, w.rank) }), nil
}

// TryAcquire takes a slot if one is free, for an owner that has none. It does not wait.
func (q *Queue[O]) TryAcquire(owner O, rank Rank) (release func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.owners[owner] != nil || q.running >= q.limits.Slots {
		return nil, false
	}
	l := &ownerQueue[O]{owner: owner, rank: rank}
	if !q.eligible(l) {
		return nil, false
	}
	q.owners[owner] = l
	q.occupy(l)
	return sync.OnceFunc(func() { q.release(owner, rank) }), true
}

func (q *Queue[O]) enqueue(owner O, rank Rank) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.owners[owner]
	if l == nil {
		l = &ownerQueue[O]{owner: owner}
		q.owners[owner] = l
	}
	l.rank = rank // the latest counts for all
	q.arrivals++
	w := &waiter{arrival: q.arrivals, done: make(chan struct{})}
	if len(l.waiting) == 0 {
		q.roundRobin = append(q.roundRobin, l)
	}
	l.waiting = append(l.waiting, w)
	q.waiting++
	q.dispatch()
	if q.limits.Waiting > 0 && q.waiting > q.limits.Waiting {
		q.finish(slices.MaxFunc(q.roundRobin, q.compareEviction), 0, ErrFull)
	}
	return w
}

// ownerShare of the waiting room (a quarter) is what one owner may fill before
// rank counts no more.
const ownerShare = 4

// compareEviction orders lines by who has to make room: where more wait than one owner
// may have, of the last rank, where most wait, for the longest time. A crowd of
// which each has only one waiting must not have those make room who go first.
func (q *Queue[O]) compareEviction(a, b *ownerQueue[O]) int {
	share := q.limits.Waiting / ownerShare
	return cmp.Or(
		max(len(a.waiting), share)-max(len(b.waiting), share),
		int(a.rank-b.rank),
		len(a.waiting)-len(b.waiting),
		cmp.Compare(b.waiting[0].arrival, a.waiting[0].arrival),
	)
}

// abandon ends the waiting of one who gives up, unless it has ended just now.
func (q *Queue[O]) abandon(owner O, w *waiter, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.owners[owner]
	if l == nil {
		return
	}
	if i := slices.Index(l.waiting, w); i >= 0 {
		q.finish(l, i, err)
	}
}

func (q *Queue[O]) release(owner O, rank Rank) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.owners[owner]
	l.running--
	q.running--
	if rank == RankLast {
		q.lastRankRunning--
	}
	q.removeIdle(l)
	q.dispatch()
}

// dispatch gives free slots away.
func (q *Queue[O]) dispatch() {
	for q.running < q.limits.Slots {
		next := q.next()
		if next == nil {
			return
		}
		q.occupy(next)
		i := 0
		if q.limits.NewestFirst {
			i = len(next.waiting) - 1
		}
		next.waiting[i].rank = next.rank
		q.finish(next, i, nil)
		if len(next.waiting) > 0 { // it is the others' turn
			i := slices.Index(q.roundRobin, next)
			q.roundRobin = append(slices.Delete(q.roundRobin, i, i+1), next)
		}
	}
}

// occupy counts a slot that one of a line has got.
func (q *Queue[O]) occupy(l *ownerQueue[O]) {
	l.running++
	q.running++
	if l.rank == RankLast {
		q.lastRankRunning++
	}
}

// next is the line whose turn it is; nil if nobody waits who may have a slot.
func (q *Queue[O]) next() (next *ownerQueue[O]) {
	for _, l := range q.roundRobin {
		if q.eligible(l) && (next == nil || q.precedes(l, next)) {
			if next = l; l.rank == RankFirst && !q.limits.NewestFirst {
				break
			}
		}
	}
	return next
}

func (q *Queue[O]) precedes(l, other *ownerQueue[O]) bool {
	if l.rank != other.rank || !q.limits.NewestFirst {
		return l.rank < other.rank
	}
	if l.running != other.running {
		return l.running < other.running
	}
	return l.waiting[len(l.waiting)-1].arrival > other.waiting[len(other.waiting)-1].arrival
}

func (q *Queue[O]) eligible(l *ownerQueue[O]) bool {
	return l.running < q.limits.PerOwner && (l.rank < RankLast || q.limits.LastRankSlots == 0 || q.lastRankRunning < q.limits.LastRankSlots)
}

// finish ends the waiting of the i-th of a line.
func (q *Queue[O]) finish(l *ownerQueue[O], i int, err error) {
	w := l.waiting[i]
	l.waiting = slices.Delete(l.waiting, i, i+1)
	q.waiting--
	if len(l.waiting) == 0 {
		i := slices.Index(q.roundRobin, l)
		q.roundRobin = slices.Delete(q.roundRobin, i, i+1)
		q.removeIdle(l)
	}
	w.err = err
	close(w.done)
}

// removeIdle forgets a line in which nobody is.
func (q *Queue[O]) removeIdle(l *ownerQueue[O]) {
	if l.running == 0 && len(l.waiting) == 0 {
		delete(q.owners, l.owner)
	}
}
