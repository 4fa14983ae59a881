// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fairqueue"
)

// A token is renewed by its first use after renewAfter of its life, at the
// latest, and up to renewSpread of the life earlier, so that tokens of the same
// age do not come due together. Whoever uses the app at least once in every
// quarter of a token's life therefore waits for the first token only: from 65 %
// of the life on a use renews it, and until 90 % it serves (longer, if it lives
// more than five minutes).
const (
	renewAfter  = 0.65
	renewSpread = 0.1
)

// renewalTime is from when on a use of the token renews it.
func renewalTime(t *delegation.Token) time.Time {
	at := renewAfter - renewSpread*rand.Float64() //nolint:gosec // it spreads, it protects nothing
	return t.Minted.Add(time.Duration(at * float64(t.Lifetime())))
}

// renewAhead renews a token in the background, once, while the old one goes on
// being used. at is the entry's renewAt as the caller read it. A token that no
// configuration's settings match any more is left to expire.
func (e *Engine) renewAhead(en *entry, at int64) {
	v := e.viewOf(en.account)
	if v == nil || !en.renewAt.CompareAndSwap(at, math.MaxInt64) {
		return
	}
	id := en.identity()
	key := e.keys.identityKey(&id)
	// The operation notices a purge from now on; the two conditions one that has
	// just deleted the entry.
	op := e.purges.Begin(&id)
	if current, ok := e.entries.Peek(id.Person, key); !ok || current != en || op.Generation() > en.generation {
		op.End()
		return
	}
	background.Go("renewing ahead", func() {
		defer op.End()
		// Renewals get half of the slots only: requests that wait come first.
		ctx, cancel := context.WithDeadline(context.Background(), en.usableUntil())
		defer cancel()
		release, err := e.mintSlots.Load().renewals.Acquire(ctx, en.person, fairqueue.RankFirst)
		if err != nil {
			return
		}
		defer release()
		req := &request{key: key, id: id, reason: MintAhead, rejected: en.token, operation: op}
		if _, err := v.obtainShared(context.Background(), req); err != nil {
			en.retryRenewal(delegation.AsRefusal(err))
		}
	})
}

// retryRenewal has a later use try again, after the pause that the refusal asks
// for. Until the token expires nobody notices that a renewal has failed.
func (en *entry) retryRenewal(r *delegation.Refusal) {
	en.renewAt.Store(en.afterPause(max(circuit.RetryDelay(r, 1), r.RetryAfter)))
}

// afterPause returns the renewAt after a pause or a quarter of the time left,
// whichever is longer.
func (en *entry) afterPause(pause time.Duration) int64 {
	return time.Now().Add(max(pause, time.Until(en.usableUntil())/4)).UnixNano()
}
