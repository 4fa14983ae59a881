// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/blame"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fair"
)

// request is a token that is wanted.
type request struct {
	key      string
	id       delegation.Identity
	reason   MintReason
	rejected *delegation.Token // this one will not do; may be nil

	operation *Operation   // that it is a part of; not if it was purged; may be nil
	nested    bool         // a mint asks
	permit    blame.Permit // of the issuer's breaker
}

// serves tells whether a token is what was ordered, and not about to expire.
func (o *request) serves(t *delegation.Token) bool {
	return t != nil && time.Now().Before(usableUntil(t)) && (o.rejected == nil || !t.Same(o.rejected))
}

// obtain waits for a token, in one flight with everybody who wants the same.
func (v *View) obtain(ctx context.Context, o *request) (*delegation.Token, error) {
	t, err := v.obtainShared(ctx, o)
	switch {
	case err == nil:
		v.client.ObserveRequest(RequestWaited)
	case ctx.Err() != nil: // whoever asked has left
	case isError[rememberedRefusal](err):
		v.client.ObserveRequest(RequestRemembered)
	default:
		v.client.ObserveRequest(RequestFailed)
	}
	return t, err
}

func (v *View) obtainShared(ctx context.Context, o *request) (t *delegation.Token, err error) {
	e := v.engine
	if turn := slotFrom(ctx); turn != nil {
		o.nested, o.permit = true, turn.permit
		// A mint that waits for another one gives up its turn meanwhile: all
		// turns could be taken by mints that wait for this one.
		turn.giveBack()
		defer func() {
			if again := turn.acquire(ctx); err == nil {
				err = again
			}
			if err != nil {
				err = nestedFailure{err}
			}
		}()
	}
	if r := e.failures.lookup(o.key, o.id.Person); r != nil {
		return nil, rememberedRefusal{r}
	}
	for {
		l, err := v.awaitFlight(ctx, o)
		// A flight begun by somebody who did not know that the token is stale
		// may answer with just that one. An issuer may, too, whoever asks.
		if err != nil || o.serves(l.token) || o.rejected.Same(l.rejected) {
			return l.token, err
		}
	}
}

// awaitFlight waits for the flight of an order, or begins one.
func (v *View) awaitFlight(ctx context.Context, o *request) (mintResult, error) {
	e := v.engine
	op := e.purges.Begin(&o.id)
	defer op.End()
	if o.operation != nil && o.operation.Purged() {
		return mintResult{}, ErrPurged
	}
	// Who asks after a purge must not get what began before it.
	flight := string(binary.BigEndian.AppendUint64([]byte(o.key), op.Generation()))
	return e.flights.Do(ctx, flight, o.id.Person, func(ctx context.Context) (mintResult, error) {
		// Whoever asked may have left.
		op, err := op.Resume()
		if err != nil {
			return mintResult{}, err
		}
		defer op.End()
		t, err := v.mintOnce(ctx, o, op)
		return mintResult{t, o.rejected}, err
	})
}

// mintResult is what a flight ends with.
type mintResult struct {
	token    *delegation.Token
	rejected *delegation.Token // the one that would not have done
}

// mintOnce is what one flight does.
func (v *View) mintOnce(ctx context.Context, o *request, op *Operation) (t *delegation.Token, err error) {
	e := v.engine
	// Who arrives just after a flight has landed finds its outcome here.
	if en := e.lookup(o.key, &o.id, time.Now()); en != nil && o.serves(en.token) {
		return en.token, nil
	}
	if r := e.failures.lookup(o.key, o.id.Person); r != nil {
		return nil, rememberedRefusal{r}
	}
	issue := func(ctx context.Context) (*delegation.Token, error) { return v.mintInSlot(ctx, o) }
	if e.shared != nil {
		t, err = e.shared.Token(ctx, o.key, &o.id, o.serves, issue)
	} else {
		t, err = issue(ctx)
	}
	if err != nil {
		return nil, err
	}
	e.failures.store.Delete(o.id.Person, o.key)
	return t, e.store(o.key, &o.id, t, op)
}

// mintInSlot asks the issuer, in its turn and if the breaker allows.
func (v *View) mintInSlot(ctx context.Context, o *request) (t *delegation.Token, err error) {
	e := v.engine
	turn := &slot{queue: e.mintSlots.Load().all, owner: o.id.Person}
	if err := turn.acquire(ctx); err != nil {
		return nil, err
	}
	defer turn.giveBack()
	if !o.nested {
		// Asked when it is its turn: much may have failed while it queued.
		pass, r := e.breaker.Allow(o.breakerOwner())
		if r != nil {
			return nil, rememberedRefusal{r}
		}
		o.permit = pass
		defer e.breaker.Release(pass)
	}
	turn.permit = o.permit
	begun := time.Now()
	ctx, done := v.client.BeginMint(context.WithValue(ctx, slotKey{}, turn), &o.id, o.reason)
	err = background.Do("minting", func() (err error) {
		t, err = v.client.Mint(ctx, o.id)
		return err
	})
	if err == nil && t == nil {
		err = errors.New("the provider minted no token")
	}
	if err != nil && ctx.Err() != nil && time.Since(begun) < e.options.Load().Timeout/2 {
		// It was the queue that took the time.
		err = delegation.Refuse(delegation.Overloaded, fmt.Errorf("too little time was left at the issuer: %w; see concurrency", ctx.Err()))
	}
	done(t, err)
	return t, e.recordOutcome(o, err)
}

// recordOutcome learns from how a mint ended.
func (e *Engine) recordOutcome(o *request, err error) error {
	if err == nil {
		e.breaker.Record(o.permit, o.breakerOwner(), blame.Healthy())
		return nil
	}
	if isError[nestedFailure](err) {
		return err
	}
	r := delegation.AsRefusal(err)
	verdict := blame.VerdictOf(r)
	if verdict == blame.Neutral() {
		return r
	}
	until := e.failures.record(o.key, o.id.Person, r)
	e.breaker.Record(o.permit, o.breakerOwner(), verdict)
	return blame.Repeat(r, time.Until(until))
}

// breakerOwner is for whom the issuer is asked. The service token is nobody's:
// everybody's.
func (o *request) breakerOwner() blame.Owner {
	if o.id.IsService() {
		return blame.Operator
	}
	return blame.KnownPerson(o.id.Person)
}

// slot is one of the places at the issuer.
type slot struct {
	queue   *fair.Queue[delegation.Person]
	owner   delegation.Person
	release func()       // nil: it is not taken
	permit  blame.Permit // of the mint that has it
}

type slotKey struct{}

func slotFrom(ctx context.Context) *slot {
	t, _ := ctx.Value(slotKey{}).(*slot)
	return t
}

func (t *slot) acquire(ctx context.Context) error {
	if t.release != nil {
		return nil
	}
	leave, err := t.queue.Acquire(ctx, t.owner, fair.RankFirst)
	if err != nil {
		return delegation.Refuse(delegation.Overloaded, fmt.Errorf("waiting for a turn at the issuer: %w; see concurrency", err))
	}
	t.release = leave
	return nil
}

func (t *slot) giveBack() {
	if t.release != nil {
		t.release()
		t.release = nil
	}
}
