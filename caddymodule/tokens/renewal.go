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

// visit is how the agenda has a token renewed while somebody uses it. Nobody
// has to ask for it at the right moment.
func (e *Engine) visit(what memory.Place) {
	en, used, ok := e.entries.Peek(what)
	if !ok {
		// Nothing that opens something is left lying about.
		e.entries.Sweep(what)
		return
	}
	switch at := en.renew.Load(); {
	case time.Now().UnixNano() < at:
		// It is another token by now, or being renewed: that has an appointment
		// of its own, or will have.
	case used:
		e.renewAhead(en, at)
	default:
		// An unused one is renewed by its next use, if that still comes in time.
		e.agenda.add(en.usable().Add(memory.SweepEvery), what)
	}
}

// renewAhead renews a token in the background, once, while it goes on being
// used. at is what en.renew was. One of settings that no configuration has any
// more is left to expire.
func (e *Engine) renewAhead(en *entry, at int64) {
	v := e.viewOf(en.account)
	if v == nil || !en.renew.CompareAndSwap(at, math.MaxInt64) {
		return
	}
	id := en.identity()
	key := e.keys.of(&id)
	// A purge from now on, and one that has just dropped it.
	op := e.purges.Begin(&id)
	if now, _, ok := e.entries.Peek(e.entries.Place(id.Person, key)); !ok || now != en || op.Generation() > en.since {
		op.End()
		return
	}
	background.Go("renewing ahead", func() {
		defer op.End()
		// Only a part of the turns: those who wait come first.
		ctx, cancel := context.WithDeadline(context.Background(), en.usable())
		defer cancel()
		leave, err := e.places.Load().ahead.Acquire(ctx, en.who, fair.First)
		if err != nil {
			return
		}
		defer leave()
		o := &order{key: key, id: id, why: Ahead, not: en.token, of: op}
		if _, err := v.fly(context.Background(), o); err != nil {
			e.retry(o, en, delegation.AsRefusal(err))
		}
	})
}

// retry arranges for another attempt at a renewal, as long as the token at
// hand serves. A failure is nobody's business until then.
func (e *Engine) retry(o *order, en *entry, r *delegation.Refusal) {
	wait := max(blame.Pause(r, 1), r.RetryAfter)
	if left := time.Until(en.usable()); left/4 > wait {
		wait = left / 4
	}
	at := time.Now().Add(wait)
	en.renew.Store(at.UnixNano())
	e.agenda.add(at, e.entries.Place(o.id.Person, o.key))
}
