// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"math"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fair"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/memory"
)

// onDue is how the agenda has a token renewed while somebody uses it. Nobody
// has to ask for it at the right moment.
func (e *Engine) onDue(what memory.Ref) {
	en, used, ok := e.entries.Peek(what)
	if !ok {
		// Nothing that opens something is left lying about.
		e.entries.SweepAround(what)
		return
	}
	switch at := en.renewAt.Load(); {
	case time.Now().UnixNano() < at:
		// It is another token by now, or being renewed: that has an appointment
		// of its own, or will have.
	case used:
		e.renewAhead(en, at)
	default:
		// An unused one is renewed by its next use, if that still comes in time.
		e.schedule.add(en.usableUntil().Add(memory.SweepInterval), what)
	}
}

// renewAhead renews a token in the background, once, while it goes on being
// used. at is what en.renew was. One of settings that no configuration has any
// more is left to expire.
func (e *Engine) renewAhead(en *entry, at int64) {
	v := e.viewOf(en.account)
	if v == nil || !en.renewAt.CompareAndSwap(at, math.MaxInt64) {
		return
	}
	id := en.identity()
	key := e.keys.identityKey(&id)
	// A purge from now on, and one that has just dropped it.
	op := e.purges.Begin(&id)
	if now, _, ok := e.entries.Peek(e.entries.Ref(id.Person, key)); !ok || now != en || op.Generation() > en.generation {
		op.End()
		return
	}
	background.Go("renewing ahead", func() {
		defer op.End()
		// Only a part of the turns: those who wait come first.
		ctx, cancel := context.WithDeadline(context.Background(), en.usableUntil())
		defer cancel()
		leave, err := e.mintSlots.Load().renewals.Acquire(ctx, en.person, fair.RankFirst)
		if err != nil {
			return
		}
		defer leave()
		o := &request{key: key, id: id, reason: MintAhead, rejected: en.token, operation: op}
		if _, err := v.obtainShared(context.Background(), o); err != nil {
			e.scheduleRetry(o, en, delegation.AsRefusal(err))
		}
	})
}

// scheduleRetry arranges for another attempt at a renewal, as long as the token at
// hand serves. A failure is nobody's business until then.
func (e *Engine) scheduleRetry(o *request, en *entry, r *delegation.Refusal) {
	wait := max(blame.RetryDelay(r, 1), r.RetryAfter)
	if left := time.Until(en.usableUntil()); left/4 > wait {
		wait = left / 4
	}
	at := time.Now().Add(wait)
	en.renewAt.Store(at.UnixNano())
	e.schedule.add(at, e.entries.Ref(o.id.Person, o.key))
}
