// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// request is one request for a token that is not in memory, or not accepted.
type request struct {
	key      string // see [keys.identityKey]
	id       delegation.Identity
	reason   MintReason
	rejected *delegation.Token // a token that does not serve; may be nil

	operation *Operation     // that the request is a part of: it fails if that was purged; may be nil
	nested    bool           // a mint asks for it
	permit    circuit.Permit // of the issuer's breaker
}

// serves reports whether a token answers the request: it is usable and not the
// rejected one.
func (req *request) serves(t *delegation.Token) bool {
	return t != nil && time.Now().Before(usableUntil(t)) && (req.rejected == nil || !t.Same(req.rejected))
}

// breakerOwner returns the owner for whom the issuer is asked.
func (req *request) breakerOwner() circuit.Owner {
	if req.id.IsService() {
		return circuit.Operator
	}
	return circuit.KnownPerson(req.id.Person)
}

// obtain waits for a token, in one flight with all who need the same, and
// counts how the request ended.
func (v *View) obtain(ctx context.Context, req *request) (*delegation.Token, error) {
	t, err := v.obtainShared(ctx, req)
	switch {
	case err == nil:
		v.client.ObserveRequest(RequestWaited)
	case ctx.Err() != nil: // the client has left
	case isError[rememberedRefusal](err):
		v.client.ObserveRequest(RequestRemembered)
	default:
		v.client.ObserveRequest(RequestFailed)
	}
	return t, err
}

func (v *View) obtainShared(ctx context.Context, req *request) (t *delegation.Token, err error) {
	e := v.engine
	if s := slotFrom(ctx, e); s != nil {
		req.nested, req.permit = true, s.permit
		// A mint that waits for another one gives its slot back meanwhile: mints
		// that wait for this one could otherwise hold all of them.
		s.giveBack()
		defer func() {
			if again := s.acquire(ctx); err == nil {
				err = again
			}
			if err != nil {
				err = nestedFailure{err}
			}
		}()
	}
	if r := e.failures.lookup(req.key, req.id.Person); r != nil {
		return nil, rememberedRefusal{r}
	}
	for {
		result, err := v.awaitFlight(ctx, req)
		// A flight begun for somebody who did not know that the token is
		// rejected may end with just that one. So may the issuer's answer.
		if err != nil || req.serves(result.token) || req.rejected.Same(result.rejected) {
			return result.token, err
		}
	}
}

// awaitFlight joins the flight for the request's key, or begins one.
func (v *View) awaitFlight(ctx context.Context, req *request) (mintResult, error) {
	e := v.engine
	op := e.purges.Begin(&req.id)
	defer op.End()
	if req.operation != nil && req.operation.Purged() {
		return mintResult{}, ErrPurged
	}
	// A request after a purge must not get the token of a flight before it.
	key := string(binary.BigEndian.AppendUint64([]byte(req.key), op.Generation()))
	return e.flights.Do(ctx, key, req.id.Person, func(ctx context.Context) (mintResult, error) {
		// The request that began the flight may have ended, and its operation
		// with it.
		op, err := op.Resume()
		if err != nil {
			return mintResult{}, err
		}
		defer op.End()
		t, err := v.mintOnce(ctx, req, op)
		return mintResult{t, req.rejected}, err
	})
}

// mintResult is the result of one flight.
type mintResult struct {
	token    *delegation.Token
	rejected *delegation.Token // of the request that began the flight
}

// mintOnce is the work of one flight: it returns a token from memory, from the
// shared level or from the issuer, and keeps it.
func (v *View) mintOnce(ctx context.Context, req *request, op *Operation) (t *delegation.Token, err error) {
	e := v.engine
	// The flight before this one may have just ended.
	if en := e.lookup(req.key, &req.id, time.Now()); en != nil && req.serves(en.token) {
		return en.token, nil
	}
	if r := e.failures.lookup(req.key, req.id.Person); r != nil {
		return nil, rememberedRefusal{r}
	}
	mint := func(ctx context.Context) (*delegation.Token, error) { return v.mintInSlot(ctx, req) }
	if e.shared != nil {
		t, err = e.shared.Token(ctx, req.key, &req.id, req.serves, mint)
	} else {
		t, err = mint(ctx)
	}
	if err != nil {
		return nil, err
	}
	e.failures.store.Delete(req.id.Person, req.key)
	return t, e.store(req, t, op)
}

// mintInSlot asks the issuer once there is a slot, if the breaker allows.
func (v *View) mintInSlot(ctx context.Context, req *request) (t *delegation.Token, err error) {
	e := v.engine
	s := &slot{engine: e, queue: e.mintSlots.Load().all, owner: req.id.Person}
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.giveBack()
	if !req.nested {
		// Not before there is a slot: much may have failed during the wait.
		permit, r := e.breaker.Allow(req.breakerOwner())
		if r != nil {
			return nil, rememberedRefusal{r}
		}
		req.permit = permit
		defer e.breaker.Release(permit)
	}
	s.permit = req.permit
	begun := time.Now()
	ctx, done := v.client.BeginMint(context.WithValue(ctx, slotKey{}, s), &req.id, req.reason)
	err = background.Do("minting", func() (err error) {
		t, err = v.client.Mint(ctx, req.id, req.rejected)
		return err
	})
	if err == nil && t == nil {
		err = errors.New("the provider minted no token")
	}
	if err != nil && ctx.Err() != nil && time.Since(begun) < e.options.Load().Timeout/2 {
		// The queue took the time, not the issuer.
		err = delegation.Refuse(delegation.Overloaded, fmt.Errorf("too little time was left at the issuer: %w; see concurrency", ctx.Err()))
	}
	done(t, err)
	return t, e.recordOutcome(req, err)
}

// recordOutcome tells the breaker and the remembered failures how a mint ended,
// and returns the error for the request.
func (e *Engine) recordOutcome(req *request, err error) error {
	if err == nil {
		e.breaker.Record(req.permit, req.breakerOwner(), circuit.Healthy())
		return nil
	}
	if isError[nestedFailure](err) {
		return err
	}
	r := delegation.AsRefusal(err)
	verdict := circuit.VerdictOf(r)
	if verdict == circuit.Neutral() {
		return r
	}
	until := e.failures.record(req.key, req.id.Person, r)
	e.breaker.Record(req.permit, req.breakerOwner(), verdict)
	return circuit.Repeat(r, time.Until(until))
}
