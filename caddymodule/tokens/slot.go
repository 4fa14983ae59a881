// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"fmt"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/circuit"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/fairqueue"
)

// mintSlots bound how many mints are at the issuer at once. When the bound
// changes there are new ones; a mint under way gives its old slot back.
type mintSlots struct {
	all      *fairqueue.Queue[delegation.Person] // for every mint
	renewals *fairqueue.Queue[delegation.Person] // half as many, for renewals that nobody waits for
}

func newMintSlots(n int) *mintSlots {
	return &mintSlots{all: newSlotQueue(n), renewals: newSlotQueue(n / 2)}
}

// newSlotQueue returns a queue for n slots, at least one. One person gets a
// quarter of them: all their mints may be slow, and they may have as many
// tokens as there are sets of scopes.
func newSlotQueue(n int) *fairqueue.Queue[delegation.Person] {
	n = max(n, 1)
	return fairqueue.New[delegation.Person](fairqueue.Limits{Slots: n, PerOwner: max(n/4, 1)})
}

// slot is the right to one call at the issuer. A mint carries its slot in its
// context, so that it can give it back while it waits for another mint.
type slot struct {
	engine  *Engine
	queue   *fairqueue.Queue[delegation.Person]
	owner   delegation.Person
	release func()         // nil: it is not held
	permit  circuit.Permit // of the mint that holds it
}

// slotKey is the key of the slot in a mint's context.
type slotKey struct{}

// slotFrom returns the slot of the engine's mint that the context belongs to; nil
// if there is none, or if it is another engine's, whose slots and breaker are of
// no concern to this one.
func slotFrom(ctx context.Context, e *Engine) *slot {
	s, _ := ctx.Value(slotKey{}).(*slot)
	if s == nil || s.engine != e {
		return nil
	}
	return s
}

// acquire waits for the slot, unless it is held already. The error is a refusal
// with the code overloaded.
func (s *slot) acquire(ctx context.Context) error {
	if s.release != nil {
		return nil
	}
	release, err := s.queue.Acquire(ctx, s.owner, fairqueue.RankFirst)
	if err != nil {
		return delegation.Refuse(delegation.Overloaded, fmt.Errorf("waiting for a turn at the issuer: %w; see concurrency", err))
	}
	s.release = release
	return nil
}

func (s *slot) giveBack() {
	if s.release != nil {
		s.release()
		s.release = nil
	}
}
