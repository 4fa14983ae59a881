// SPDX-License-Identifier: Apache-2.0

// Package fairqueue is fair queueing for a few slots: owners get them in turn, so
// that no owner can use up what all need.
package fairqueue

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrFull is the error of a waiter who has to make room because too many wait.
var ErrFull = errors.New("too many are waiting")

// Limits bound a queue.
type Limits struct {
	// Slots is how many may be held at once. At least 1.
	Slots int
	// PerOwner is how many of them one owner may hold. At least 1.
	PerOwner int
	// LastRankSlots is how many of them owners of [RankLast] may hold together.
	// 0: all.
	LastRankSlots int
	// Waiting is how many may wait. 0: any number.
	Waiting int
	// NewestFirst gives a slot to the latest arrival, among owners who hold as
	// many slots. In an overload the one who has waited longest is the next to
	// give up, and abandoned requests delay nobody. It is for queues that anybody
	// can fill, such as sessions that are not verified yet.
	NewestFirst bool
}

// Rank orders owners: a lower rank goes first.
type Rank int

// The ranks of owners.
const (
	RankFirst Rank = iota
	RankMiddle
	RankLast
)

// Queue gives slots to owners in the order of their ranks, and in turn within a
// rank. It is safe for concurrent use.
type Queue[O comparable] struct {
	limits Limits

	mu              sync.Mutex
	running         int
	lastRankRunning int // of running, those of RankLast
	waiting         int
	arrivals        uint64 // how many have come, which numbers the latest
	owners          map[O]*ownerQueue[O]
	roundRobin      []*ownerQueue[O] // owners with waiters, the next in turn first
}

// ownerQueue is one owner's waiters and the number of its slots.
type ownerQueue[O comparable] struct {
	owner   O
	rank    Rank
	running int
	waiting []*waiter
}

// waiter is one call of Acquire.
type waiter struct {
	arrival uint64
	rank    Rank          // when it got its slot
	done    chan struct{} // closed when that is decided
	err     error
}

// New returns a queue without waiters.
func New[O comparable](limits Limits) *Queue[O] {
	return &Queue[O]{limits: limits, owners: make(map[O]*ownerQueue[O])}
}

// Running returns how many slots are held.
func (q *Queue[O]) Running() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running
}

// Acquire waits for a slot and returns a function that gives it back, which may
// be called more than once. The error is that of ctx, or [ErrFull] for a waiter
// who has to make room.
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

// TryAcquire takes a slot if one is free and the owner neither holds nor awaits
// one. It does not wait.
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
// its rank does not protect it any more.
const ownerShare = 4

// compareEviction orders owners so that a waiter of the greatest has to make room:
// the owner with most waiters beyond the share of one, then of the last rank, with
// most waiters, with the longest wait. A crowd of owners with one waiter each must not
// displace those of the first rank.
func (q *Queue[O]) compareEviction(a, b *ownerQueue[O]) int {
	share := q.limits.Waiting / ownerShare
	return cmp.Or(
		max(len(a.waiting), share)-max(len(b.waiting), share),
		int(a.rank-b.rank),
		len(a.waiting)-len(b.waiting),
		cmp.Compare(b.waiting[0].arrival, a.waiting[0].arrival),
	)
}

// abandon removes a waiter who gives up, unless it was decided just now.
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

// dispatch gives free slots to waiters.
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
		if len(next.waiting) > 0 { // the other owners come first now
			i := slices.Index(q.roundRobin, next)
			q.roundRobin = append(slices.Delete(q.roundRobin, i, i+1), next)
		}
	}
}

// occupy counts a slot for an owner.
func (q *Queue[O]) occupy(l *ownerQueue[O]) {
	l.running++
	q.running++
	if l.rank == RankLast {
		q.lastRankRunning++
	}
}

// next returns the owner whose turn it is, or nil if no waiter may have a slot.
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

// precedes reports whether an owner goes before another one.
func (q *Queue[O]) precedes(l, other *ownerQueue[O]) bool {
	if l.rank != other.rank || !q.limits.NewestFirst {
		return l.rank < other.rank
	}
	if l.running != other.running {
		return l.running < other.running
	}
	return l.waiting[len(l.waiting)-1].arrival > other.waiting[len(other.waiting)-1].arrival
}

// eligible reports whether an owner may hold one more slot.
func (q *Queue[O]) eligible(l *ownerQueue[O]) bool {
	return l.running < q.limits.PerOwner && (l.rank < RankLast || q.limits.LastRankSlots == 0 || q.lastRankRunning < q.limits.LastRankSlots)
}

// finish ends the wait of an owner's i-th waiter, with a slot if err is nil.
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

// removeIdle deletes an owner with neither slots nor waiters.
func (q *Queue[O]) removeIdle(l *ownerQueue[O]) {
	if l.running == 0 && len(l.waiting) == 0 {
		delete(q.owners, l.owner)
	}
}
