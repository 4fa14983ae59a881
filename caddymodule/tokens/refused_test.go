// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// keeper is an issuer that keeps the tokens it has given, as a provider with
// grants does: it returns the token that it has until that is refused.
type keeper struct {
	life  time.Duration
	stuck bool // it has no other token to give

	mu      sync.Mutex
	current *delegation.Token
	refused []*delegation.Token // as the mints were told, in order
}

func (k *keeper) mint(_ context.Context, _ delegation.Identity, refused *delegation.Token) (*delegation.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused = append(k.refused, refused)
	if k.current == nil || k.current.Same(refused) && !k.stuck {
		now := time.Now()
		k.current = &delegation.Token{Access: delegation.NewSecret(now.String()), Minted: now, Expires: now.Add(k.life)}
	}
	return k.current, nil
}

// told returns what the mints were told since the last call.
func (k *keeper) told() []*delegation.Token {
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.refused
	k.refused = nil
	return told
}

// TestMintIsToldWhatWasRefused protects refresh tokens that can be spent once: a
// mint that knows which token was refused gives a newer one that it has already,
// and asks the vendor only if it has none.
func TestMintIsToldWhatWasRefused(t *testing.T) {
	for name, shared := range map[string]Shared{"alone": nil, "with a shared level": passing{}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, i := start(t, Options{}, 0)
				e.SetShared(shared)
				k := &keeper{life: time.Hour}
				i.mint = k.mint
				first, _, _ := i.get(t, alice)
				if told := k.told(); len(told) != 1 || told[0] != nil {
					t.Errorf("the first mint was told of %v", told)
				}
				time.Sleep(time.Minute)
				second, err := i.view.Renew(t.Context(), alice, first)
				if told := k.told(); err != nil || second.Same(first) || len(told) != 1 || told[0] != first {
					t.Errorf("after a refusal: told of %v, %v", told, err)
				}
				// Somebody else's request was refused with the old token: what is in
				// memory answers it.
				if third, err := i.view.Renew(t.Context(), alice, first); err != nil || third != second || k.told() != nil {
					t.Errorf("a late refusal had a token minted: %v", err)
				}
				// A renewal ahead would get the token in use otherwise.
				time.Sleep(50 * time.Minute)
				i.want(t, alice, true, "")
				synctest.Wait()
				if told := k.told(); len(told) != 1 || told[0] != second {
					t.Errorf("a renewal ahead was told of %v", told)
				}
				if now, cached, _ := i.get(t, alice); now.Same(second) || !cached {
					t.Error("the renewal ahead renewed nothing")
				}
			})
		})
	}
}

// TestRefusalJoinsAFlight protects a request whose token was refused from the
// flight of one that knew nothing of it: if that ends with the refused token, a
// mint follows that is told.
func TestRefusalJoinsAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, 0)
		k := &keeper{life: time.Hour}
		i.mint = k.mint
		first, _, _ := i.get(t, alice)
		e.entries.DeleteFunc(func(*entry) bool { return true }) // as if others had pushed it out
		k.told()
		i.hold = make(chan struct{})
		results := make(chan *delegation.Token, 2)
		go func() { got, _, _ := i.view.Get(t.Context(), alice); results <- got }()
		synctest.Wait()
		time.Sleep(time.Second)
		go func() { got, _ := i.view.Renew(t.Context(), alice, first); results <- got }()
		synctest.Wait()
		close(i.hold)
		synctest.Wait()
		a, b := <-results, <-results
		if told := k.told(); len(told) != 2 || told[0] != nil || told[1] != first || a.Same(b) {
			t.Errorf("the mints were told of %v", told)
		}
	})
}

// TestRefusedTokenAgain protects the issuer from a mint that has no other token
// than the refused one: a request asks it once, and the uses of a token that is
// getting old do not ask with every request.
func TestRefusedTokenAgain(t *testing.T) {
	for name, shared := range map[string]Shared{"alone": nil, "with a shared level": passing{}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, i := start(t, Options{}, 0)
				e.SetShared(shared)
				k := &keeper{life: time.Hour, stuck: true}
				i.mint = k.mint
				first, _, _ := i.get(t, alice)
				k.told()
				again, err := i.view.Renew(t.Context(), alice, first)
				if told := k.told(); err != nil || !again.Same(first) || len(told) != 1 {
					t.Errorf("%d mints, %v", len(told), err)
				}
				// Past the time at which a use renews it, until its end.
				time.Sleep(40 * time.Minute)
				for range 19 * 60 {
					time.Sleep(time.Second)
					i.want(t, alice, true, "")
				}
				synctest.Wait()
				if n := len(k.told()); n < 2 || n > 40 {
					t.Errorf("%d mints in %d uses", n, 19*60)
				}
			})
		})
	}
}

// passing is a shared level that has no token and is never held up.
type passing struct{}

func (passing) Token(ctx context.Context, _ string, _ *delegation.Identity, _ func(*delegation.Token) bool, mint func(context.Context) (*delegation.Token, error)) (*delegation.Token, error) {
	return mint(ctx)
}
func (passing) Purge(context.Context, delegation.Selection) error { return nil }
func (passing) Status() SharedStatus                              { return SharedStatus{} }
