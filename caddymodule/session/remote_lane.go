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
	// maxUnknownCalls is how many calls are under way at once: the server has the
	// app's own users to serve. maxSeenCalls are further ones for credentials that were
	// valid within the last hour: strangers must not keep them from being verified.
	maxUnknownCalls = 24
	maxSeenCalls    = 8

	maxWaiting           = 1000 // calls that wait for their turn
	maxWaitingPerSession = 50   // requests that wait for one call
)

var (
	// unknownLimits keep slots for others while the calls for one network fail, and for
	// new networks while those of many do.
	unknownLimits = fairqueue.Limits{Slots: maxUnknownCalls, PerOwner: maxUnknownCalls * 3 / 4, LastRankSlots: maxUnknownCalls / 2, Waiting: maxWaiting, NewestFirst: true}

	// seenLimits keep slots for others while the app hangs for all sessions of one
	// person, or of many.
	seenLimits = fairqueue.Limits{Slots: maxSeenCalls, PerOwner: maxSeenCalls / 4, LastRankSlots: maxSeenCalls / 2, Waiting: maxWaiting}
)

// queueOwner is in whose turn a call is made: the person's whose credential was valid
// before, otherwise the network's.
type queueOwner struct {
	person  delegation.Person
	network netip.Prefix
}

// lane is a queue of calls, and the requests that share them.
type lane struct {
	flights *singleflight.Group[digest, *Session]
	queue   *fairqueue.Queue[queueOwner]
}

func newLane(limits fairqueue.Limits, timeout time.Duration) lane {
	return lane{
		// The queue bounds how many wait: it tells one network from another.
		flights: singleflight.New[digest, *Session](singleflight.Limits{
			Timeout: timeout, Waiting: 2 * maxWaiting * maxWaitingPerSession, PerOwner: maxWaitingPerSession,
		}),
		queue: fairqueue.New[queueOwner](limits),
	}
}

// rank returns the rank of a call among those that wait.
func (v *RemoteVerifier) rank(call *remoteCall) fairqueue.Rank {
	if call.owner != circuit.Unverified {
		return v.seen.rank(call.caller.person)
	}
	return v.networks.rank(call.caller.network)
}

// acquire waits for the turn of a call. While all slots of the seen are taken, perhaps
// by a few people for whom the app hangs, a person takes an idle slot of the unknown
// rather than wait, one each. Those people do not: without an answer they are last.
func (v *RemoteVerifier) acquire(ctx context.Context, l *lane, call *remoteCall) (leave func(), err error) {
	rank := v.rank(call)
	if l == &v.seenLane && rank == fairqueue.RankFirst && l.queue.Running() >= maxSeenCalls {
		if leave, ok := v.unknownLane.queue.TryAcquire(call.caller, rank); ok {
			return leave, nil
		}
	}
	return l.queue.Acquire(ctx, call.caller, rank)
}
