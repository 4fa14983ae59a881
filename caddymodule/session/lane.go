// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"net/netip"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fair"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/flight"
)

const (
	// maxAsking is how many questions are under way at once: who is asked has
	// the app's own users to serve. maxKnown are as many more for sessions that
	// were valid a while ago: strangers must not keep them from being asked
	// about again.
	maxAsking = 24
	maxKnown  = 8

	maxWaiting           = 1000 // questions
	maxWaitingPerSession = 50   // requests, for one answer
)

var (
	// unknownLimits leave slots to others while the credentials of one address
	// are all asked about in vain, and to new addresses while those of many are.
	unknownLimits = fair.Limits{Slots: maxAsking, PerOwner: maxAsking * 3 / 4, Last: maxAsking / 2, Waiting: maxWaiting, Newest: true}

	// knownLimits do the same while the app hangs for all sessions of one
	// person, and of many.
	knownLimits = fair.Limits{Slots: maxKnown, PerOwner: maxKnown / 4, Last: maxKnown / 2, Waiting: maxWaiting}
)

// place is in whose turn a question is asked: a person's whose session was
// valid, or else an address's.
type place struct {
	person delegation.Person
	client netip.Prefix
}

// lane is how a question gets to who is asked.
type lane struct {
	flights *flight.Group[digest, *Session]
	queue   *fair.Queue[place]
}

func newLane(limits fair.Limits, timeout time.Duration) lane {
	return lane{
		// How many wait is for the queue to bound, which tells one address from
		// another.
		flights: flight.New[digest, *Session](flight.Limits{
			Timeout: timeout, Waiting: 2 * maxWaiting * maxWaitingPerSession, PerOwner: maxWaitingPerSession,
		}),
		queue: fair.New[place](limits),
	}
}

// rank is when a question is asked, compared with others that wait.
func (a *Asked) rank(q *question) fair.Rank {
	if q.owner != blame.Strangers {
		return a.seen.rank(q.by.person)
	}
	return a.clients.rank(q.by.client)
}

// acquire waits for the turn of a question. Who is known takes a slot of the
// unknown that is idle rather than wait, one a person: those of the known may
// be held by a few people for whom the app hangs. Those people do not: when
// there was no answer, they keep to their share.
func (a *Asked) acquire(ctx context.Context, w *lane, q *question) (leave func(), err error) {
	rank := a.rank(q)
	if w == &a.known && rank == fair.First && w.queue.Running() >= maxKnown {
		if leave, ok := a.unknown.queue.Try(q.by, rank); ok {
			return leave, nil
		}
	}
	return w.queue.Acquire(ctx, q.by, rank)
}
