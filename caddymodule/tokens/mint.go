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

// order is a token that is wanted.
type order struct {
	key string
	id  delegation.Identity
	why Reason
	not *delegation.Token // this one will not do; may be nil

	of     *Operation // that it is a part of; not if it was purged; may be nil
	nested bool       // a mint asks
	pass   blame.Pass // of the issuer's breaker
}

// serves tells whether a token is what was ordered, and not about to expire.
func (o *order) serves(t *delegation.Token) bool {
	return t != nil && time.Now().Before(usable(t)) && (o.not == nil || !t.Same(o.not))
}

// obtain waits for a token, in one flight with everybody who wants the same.
func (v *View) obtain(ctx context.Context, o *order) (*delegation.Token, error) {
	t, err := v.fly(ctx, o)
	switch {
	case err == nil:
		v.client.Found(Waited)
	case ctx.Err() != nil: // whoever asked has left
	case is[remembered](err):
		v.client.Found(Remembered)
	default:
		v.client.Found(Failed)
	}
	return t, err
}

func (v *View) fly(ctx context.Context, o *order) (t *delegation.Token, err error) {
	e := v.engine
	if turn := turnOf(ctx); turn != nil {
		o.nested, o.pass = true, turn.pass
		// A mint that waits for another one gives up its turn meanwhile: all
		// turns could be taken by mints that wait for this one.
		turn.end()
		defer func() {
			if again := turn.begin(ctx); err == nil {
				err = again
			}
			if err != nil {
				err = counted{err}
			}
		}()
	}
	if r := e.failures.recall(o.key, o.id.Person); r != nil {
		return nil, remembered{r}
	}
	for {
		l, err := v.join(ctx, o)
		// A flight begun by somebody who did not know that the token is stale
		// may answer with just that one. An issuer may, too, whoever asks.
		if err != nil || o.serves(l.token) || o.not.Same(l.not) {
			return l.token, err
		}
	}
}

// join waits for the flight of an order, or begins one.
func (v *View) join(ctx context.Context, o *order) (landing, error) {
	e := v.engine
	op := e.purges.Begin(&o.id)
	defer op.End()
	if o.of != nil && o.of.Purged() {
		return landing{}, ErrPurged
	}
	// Who asks after a purge must not get what began before it.
	flight := string(binary.BigEndian.AppendUint64([]byte(o.key), op.Generation()))
	return e.flights.Do(ctx, flight, o.id.Person, func(ctx context.Context) (landing, error) {
		// Whoever asked may have left.
		op, err := op.Resume()
		if err != nil {
			return landing{}, err
		}
		defer op.End()
		t, err := v.land(ctx, o, op)
		return landing{t, o.not}, err
	})
}

// landing is what a flight ends with.
type landing struct {
	token *delegation.Token
	not   *delegation.Token // the one that would not have done
}

// land is what one flight does.
func (v *View) land(ctx context.Context, o *order, op *Operation) (t *delegation.Token, err error) {
	e := v.engine
	// Who arrives just after a flight has landed finds its outcome here.
	if en := e.lookup(o.key, &o.id, time.Now()); en != nil && o.serves(en.token) {
		return en.token, nil
	}
	if r := e.failures.recall(o.key, o.id.Person); r != nil {
		return nil, remembered{r}
	}
	issue := func(ctx context.Context) (*delegation.Token, error) { return v.issue(ctx, o) }
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

// issue asks the issuer, in its turn and if the breaker allows.
func (v *View) issue(ctx context.Context, o *order) (t *delegation.Token, err error) {
	e := v.engine
	turn := &turn{slots: e.places.Load().slots, owner: o.id.Person}
	if err := turn.begin(ctx); err != nil {
		return nil, err
	}
	defer turn.end()
	if !o.nested {
		// Asked when it is its turn: much may have failed while it queued.
		pass, r := e.breaker.Enter(o.owner())
		if r != nil {
			return nil, remembered{r}
		}
		o.pass = pass
		defer e.breaker.Leave(pass)
	}
	turn.pass = o.pass
	begun := time.Now()
	ctx, done := v.client.Minting(context.WithValue(ctx, turnKey{}, turn), &o.id, o.why)
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
	return t, e.judge(o, err)
}

// judge learns from how a mint ended.
func (e *Engine) judge(o *order, err error) error {
	if err == nil {
		e.breaker.Record(o.pass, o.owner(), blame.Well())
		return nil
	}
	if is[counted](err) {
		return err
	}
	r := delegation.AsRefusal(err)
	verdict := blame.Of(r)
	if verdict == blame.Nobody() {
		return r
	}
	until := e.failures.note(o.key, o.id.Person, r)
	e.breaker.Record(o.pass, o.owner(), verdict)
	return blame.Again(r, time.Until(until))
}

// owner is for whom the issuer is asked. The service token is nobody's:
// everybody's.
func (o *order) owner() blame.Owner {
	if o.id.IsService() {
		return blame.Everybody
	}
	return blame.Known(o.id.Person)
}

// turn is one of the places at the issuer.
type turn struct {
	slots *fair.Queue[delegation.Person]
	owner delegation.Person
	leave func()     // nil: it is not taken
	pass  blame.Pass // of the mint that has it
}

type turnKey struct{}

func turnOf(ctx context.Context) *turn {
	t, _ := ctx.Value(turnKey{}).(*turn)
	return t
}

func (t *turn) begin(ctx context.Context) error {
	if t.leave != nil {
		return nil
	}
	leave, err := t.slots.Acquire(ctx, t.owner, fair.First)
	if err != nil {
		return delegation.Refuse(delegation.Overloaded, fmt.Errorf("waiting for a turn at the issuer: %w; see concurrency", err))
	}
	t.leave = leave
	return nil
}

func (t *turn) end() {
	if t.leave != nil {
		t.leave()
		t.leave = nil
	}
}
