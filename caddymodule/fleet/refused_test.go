// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestMintIsToldWhatWasRefused protects refresh tokens that can be spent once
// from several machines: the one that mints is told which token was refused,
// the others take the new one from Redis, and a mint that has no other token is
// asked once for a request.
func TestMintIsToldWhatWasRefused(t *testing.T) {
	i, a, b := pair(t, serve(t), Options{})
	var (
		mu      sync.Mutex
		refused []*delegation.Token
		current *delegation.Token
		stuck   bool
	)
	i.set(func(_ context.Context, _ delegation.Identity, told *delegation.Token) (*delegation.Token, error) {
		mu.Lock()
		defer mu.Unlock()
		refused = append(refused, told)
		if current == nil || !stuck {
			current = i.fresh()
		}
		return current, nil
	})
	alice := person("alice")
	first, _, err := a.view.Get(t.Context(), alice)
	if err != nil || b.get(t, alice) != first.Access.Reveal() {
		t.Fatal("the machines share no token")
	}
	second, err := b.view.Renew(t.Context(), alice, first)
	if err != nil || second.Same(first) {
		t.Fatalf("not renewed: %v", err)
	}
	if third, err := a.view.Renew(t.Context(), alice, first); err != nil || !third.Same(second) {
		t.Errorf("the other machine did not take the new token: %v", err)
	}
	mu.Lock()
	stuck = true
	mu.Unlock()
	if again, err := a.view.Renew(t.Context(), alice, second); err != nil || !again.Same(second) {
		t.Errorf("a mint that has no other token: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(refused) != 3 || refused[0] != nil || !refused[1].Same(first) || !refused[2].Same(second) {
		t.Errorf("%d mints, told of %v", len(refused), refused)
	}
}
