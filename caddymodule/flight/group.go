// SPDX-License-Identifier: Apache-2.0

// Package flight does a thing once for all who ask for it at the same time.
package flight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

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
	limits  Limits
	flights singleflight.Group

	mu      sync.Mutex
	waiting int
	flying  int
	owners  map[O]int
}

// New returns a group without flights.
func New[O comparable, T any](limits Limits) *Group[O, T] {
	return &Group[O, T]{limits: limits, owners: make(map[O]int)}
}

// Waiting is how many wait now.
func (g *Group[O, T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// Do returns what fly returns for the key, which runs unless it does already.
// fly's context has the flight's deadline and ctx's values. The error is
// fly's, ctx's, or a refusal with the code overloaded if too many are waiting.
// The zero owner's waiting is not counted: it is part of other flights.
func (g *Group[O, T]) Do(ctx context.Context, key string, owner O, fly func(context.Context) (T, error)) (T, error) {
	var none T
	if err := g.join(owner); err != nil {
		return none, err
	}
	defer g.leave(owner)
	landed := g.flights.DoChan(key, func() (result any, err error) {
		defer g.fly(owner)()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.limits.Timeout)
		defer cancel()
		defer func() {
			// In a goroutine of its own a panic would end the whole server.
			if p := recover(); p != nil {
				result, err = none, fmt.Errorf("panic: %T", p) // its text may hold anything
			}
		}()
		return fly(ctx)
	})
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-landed:
		return r.Val.(T), r.Err
	}
}

func (g *Group[O, T]) join(owner O) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var nobody O
	switch {
	case owner == nobody:
		return nil
	case max(g.waiting, g.flying) >= g.limits.Waiting: // whoever left has left a flight behind
		return delegation.Refuse(delegation.Overloaded, errors.New("too many requests are waiting; see max_waiting"))
	case g.owners[owner] >= g.limits.PerOwner:
		return delegation.Refuse(delegation.Overloaded, errors.New("too many requests of one person are waiting; see max_waiting"))
	}
	g.waiting++
	g.owners[owner]++
	return nil
}

// fly counts a flight until it lands.
func (g *Group[O, T]) fly(owner O) (land func()) {
	var nobody O
	if owner == nobody {
		return func() {}
	}
	add := func(n int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.flying += n
	}
	add(1)
	return func() { add(-1) }
}

func (g *Group[O, T]) leave(owner O) {
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
