// SPDX-License-Identifier: Apache-2.0

// Package flight does a thing once for all who ask for it at the same time.
package flight

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

// Limits bound how many may wait, and for how long.
type Limits struct {
	// Timeout is what a flight may take.
	Timeout time.Duration
	// Waiting is how many may wait at once.
	Waiting int
	// PerOwner is how many of them may wait for one owner.
	PerOwner int
}

// Group does things for owners, each key once at a time. Flights are
// detached: they end by their own deadline, a leader who leaves harms nobody,
// and a waiter who leaves stops waiting at once. One result answers all.
type Group[O comparable, T any] struct {
	limits  atomic.Pointer[Limits]
	flights singleflight.Group

	mu      sync.Mutex
	waiting int
	running int
	owners  map[O]int
}

// New returns a group without flights.
func New[O comparable, T any](limits Limits) *Group[O, T] {
	g := &Group[O, T]{owners: make(map[O]int)}
	g.Limit(limits)
	return g
}

// Limit sets other limits, for who comes from now on.
func (g *Group[O, T]) Limit(limits Limits) { g.limits.Store(&limits) }

// Waiting is how many wait now.
func (g *Group[O, T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// Do returns what fly returns for the key, which runs unless it does already.
// fly's context has the flight's deadline, and of ctx the trace span alone. The error is
// fly's, ctx's, or a refusal with the code overloaded if too many are waiting.
// The zero owner's waiting is not counted: it is part of other flights.
func (g *Group[O, T]) Do(ctx context.Context, key string, owner O, fly func(context.Context) (T, error)) (T, error) {
	var none T
	if err := g.admit(owner); err != nil {
		return none, err
	}
	defer g.dismiss(owner)
	limits := g.limits.Load()
	landed := g.flights.DoChan(key, func() (any, error) {
		defer g.countRunning(owner)()
		ctx, cancel := context.WithTimeout(delegation.Detach(ctx), limits.Timeout)
		defer cancel()
		result := none
		// singleflight panics again in a goroutine of its own, where nothing
		// could recover it.
		err := background.Do("flight", func() (err error) {
			result, err = fly(ctx)
			return err
		})
		return result, err
	})
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-landed:
		return r.Val.(T), r.Err
	}
}

func (g *Group[O, T]) admit(owner O) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var nobody O
	limits := g.limits.Load()
	switch {
	case owner == nobody:
		return nil
	case max(g.waiting, g.running) >= limits.Waiting: // whoever left has left a flight behind
		return delegation.Refuse(delegation.Overloaded, errors.New("too many requests are waiting; see max_waiting"))
	case g.owners[owner] >= limits.PerOwner:
		return delegation.Refuse(delegation.Overloaded, errors.New("too many requests of one person are waiting; see max_waiting"))
	}
	g.waiting++
	g.owners[owner]++
	return nil
}

// countRunning counts a flight until it lands.
func (g *Group[O, T]) countRunning(owner O) (land func()) {
	var nobody O
	if owner == nobody {
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

func (g *Group[O, T]) dismiss(owner O) {
	var nobody O
	if owner == nobody {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	if g.owners[owner]--; g.owners[owner] == 0 {
		delete(g.owners, owner)
	}
}
