// SPDX-License-Identifier: Apache-2.0

// Package singleflight does work once for all who ask for it at the same time.
package singleflight

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// Limits bound a group. All have to be positive, but Waiting and PerOwner do not
// matter to the zero owner.
type Limits struct {
	// Timeout bounds one flight.
	Timeout time.Duration
	// Waiting is how many callers may wait at once.
	Waiting int
	// PerOwner is how many of them may wait for one owner.
	PerOwner int
}

// Group runs work for owners of type O with results of type T, each key once at
// a time. Flights are detached from who began them: they end by their own
// deadline, a first caller who leaves harms nobody, and every caller who leaves
// stops waiting at once. It is safe for concurrent use.
//
// Why not [singleflight.Group] alone, which it is built on: that has neither a
// deadline nor a bound for waiting callers, and a panic in it ends the process.
type Group[O comparable, T any] struct {
	limits  atomic.Pointer[Limits]
	flights singleflight.Group

	mu      sync.Mutex
	waiting int       // callers
	running int       // flights
	owners  map[O]int // waiting callers by owner
}

// New returns a group without flights.
func New[O comparable, T any](limits Limits) *Group[O, T] {
	g := &Group[O, T]{owners: make(map[O]int)}
	g.Limit(limits)
	return g
}

// Limit sets other limits, for calls from now on.
func (g *Group[O, T]) Limit(limits Limits) { g.limits.Store(&limits) }

// Waiting returns how many callers wait now.
func (g *Group[O, T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// Do returns the result of work for the key, which is started unless it runs
// already. The context that work gets has the group's deadline, and of ctx only
// the trace span. The error is that of work or of ctx, or a refusal with the
// code overloaded if too many callers wait. Callers for the zero owner are not
// counted: they are part of another flight.
func (g *Group[O, T]) Do(ctx context.Context, key string, owner O, work func(context.Context) (T, error)) (T, error) {
	var none T
	if err := g.admit(owner); err != nil {
		return none, err
	}
	defer g.dismiss(owner)
	limits := g.limits.Load()
	done := g.flights.DoChan(key, func() (any, error) {
		defer g.countRunning(owner)()
		ctx, cancel := context.WithTimeout(delegation.Detach(ctx), limits.Timeout)
		defer cancel()
		result := none
		// singleflight panics again in a goroutine of its own, where nothing
		// could recover it.
		err := background.Do("flight", func() (err error) {
			result, err = work(ctx)
			return err
		})
		return result, err
	})
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-done:
		return r.Val.(T), r.Err
	}
}

// admit counts a caller, or refuses one too many.
func (g *Group[O, T]) admit(owner O) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var zero O
	limits := g.limits.Load()
	switch {
	case owner == zero:
		return nil
	case max(g.waiting, g.running) >= limits.Waiting: // a caller who left has left a flight behind
		return delegation.Refuse(delegation.Overloaded, errors.New("too many requests are waiting"))
	case g.owners[owner] >= limits.PerOwner:
		return delegation.Refuse(delegation.Overloaded, errors.New("too many requests of one person are waiting"))
	}
	g.waiting++
	g.owners[owner]++
	return nil
}

// countRunning counts a flight until the returned function is called.
func (g *Group[O, T]) countRunning(owner O) (ended func()) {
	var zero O
	if owner == zero {
		return func() {}
	}
	add := func(n int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.running += n
	}
	add(1)
	return func() { add(-1) }
}

// dismiss takes back what admit has counted.
func (g *Group[O, T]) dismiss(owner O) {
	var zero O
	if owner == zero {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	if g.owners[owner]--; g.owners[owner] == 0 {
		delete(g.owners, owner)
	}
}
