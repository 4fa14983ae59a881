// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"net/netip"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fairqueue"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/singleflight"
)

const (
	// maxUnknownCalls is how many questions are under way at once: who is asked has
	// the app's own users to serve. maxKnown are as many more for sessions that
	// were valid a while ago: strangers must not keep them from being asked
	// about again.
	maxUnknownCalls = 24
	maxSeenCalls    = 8

	maxWaiting           = 1000 // questions
	maxWaitingPerSession = 50   // requests, for one answer
)

var (
	// unknownLimits leave slots to others while the credentials of one address
	// are all asked about in vain, and to new addresses while those of many are.
	unknownLimits = fairqueue.Limits{Slots: maxUnknownCalls, PerOwner: maxUnknownCalls * 3 / 4, LastRankSlots: maxUnknownCalls / 2, Waiting: maxWaiting, NewestFirst: true}

	// seenLimits do the same while the app hangs for all sessions of one
	// person, and of many.
	seenLimits = fairqueue.Limits{Slots: maxSeenCalls, PerOwner: maxSeenCalls / 4, LastRankSlots: maxSeenCalls / 2, Waiting: maxWaiting}
)

// queueOwner is in whose turn a question is asked: a person's whose session was
// valid, or else an address's.
type queueOwner struct {
	person  delegation.Person
	network netip.Prefix
}

// lane is how a question gets to who is asked.
type lane struct {
	flights *singleflight.Group[digest, *Session]
	queue   *fairqueue.Queue[queueOwner]
}

func newLane(limits fairqueue.Limits, timeout time.Duration) lane {
	return lane{
		// How many wait is for the queue to bound, which tells one address from
		// another.
		flights: singleflight.New[digest, *Session](singleflight.Limits{
			Timeout: timeout, Waiting: 2 * maxWaiting * maxWaitingPerSession, PerOwner: maxWaitingPerSession,
		}),
		queue: fairqueue.New[queueOwner](limits),
	}
}

// rank is when a question is asked, compared with others that wait.
func (a *RemoteVerifier) rank(q *remoteCall) fairqueue.Rank {
	if q.owner != circuit.Unverified {
		return a.seen.rank(q.caller.person)
	}
	return a.networks.rank(q.caller.network)
}

// acquire waits for the turn of a question. Who is known takes a slot of the
// unknown that is idle rather than wait, one a person: those of the known may
// be held by a few people for whom the app hangs. Those people do not: when
// there was no answer, they keep to their share.
func (a *RemoteVerifier) acquire(ctx context.Context, w *lane, q *remoteCall) (leave func(), err error) {
	rank := a.rank(q)
	if w == &a.seenLane && rank == fairqueue.RankFirst && w.queue.Running() >= maxSeenCalls {
		if leave, ok := a.unknownLane.queue.TryAcquire(q.caller, rank); ok {
			return leave, nil
		}
	}
	return w.queue.Acquire(ctx, q.caller, rank)
}
