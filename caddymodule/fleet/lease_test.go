// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestT34_MintOutlastsLease protects the issuer from oauth2-proxy #3456: a
// mint that takes three times as long as its lease is still the only one,
// because the lease is renewed meanwhile.
func TestT34_MintOutlastsLease(t *testing.T) {
	const lease = 300 * time.Millisecond
	s := serve(t)
	i, a, b := pair(t, s, Options{Lease: lease})
	began := make(chan struct{}, 2)
	i.set(func(ctx context.Context, _ delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
		began <- struct{}{}
		select {
		case <-time.After(3 * lease):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return i.fresh(), nil
	})
	var wg sync.WaitGroup
	wg.Go(func() { a.get(t, person("alice")) })
	<-began
	wg.Go(func() { b.get(t, person("alice")) })
	wg.Wait()
	if n := i.mints.Load(); n != 1 {
		t.Errorf("%d mints", n)
	}
	if a.get(t, person("alice")) != b.get(t, person("alice")) {
		t.Error("two tokens")
	}
	if left := s.keys("lease"); len(left) != 0 {
		t.Errorf("the lease was not released: %q", left)
	}
}

// TestT34_FencedWrite protects the token that all machines use from a holder
// that was paused for longer than its lease: it neither overwrites what the
// next one stored nor uses its own.
func TestT34_FencedWrite(t *testing.T) {
	for name, others := range map[string]bool{"another has minted": true, "nobody has": false} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			i, a, b := pair(t, s, Options{Lease: time.Minute}) // no renewal during the test
			began, release := make(chan struct{}), make(chan struct{})
			got := make(chan string)
			go func() {
				token, err := a.token(context.Background(), "key", func(context.Context) (*delegation.Token, error) {
					own := i.fresh()
					close(began)
					<-release
					return own, nil
				})
				if err != nil {
					t.Error(err)
					got <- ""
					return
				}
				got <- token.Access.Reveal()
			}()
			<-began
			if s.do("DEL", s.keys("lease")[0]) != "1" { // it has expired
				t.Fatal("there was no lease")
			}
			mint := func(context.Context) (*delegation.Token, error) { return i.fresh(), nil }
			want := "canary-token-1"
			if others {
				want = "canary-token-2"
				if _, err := b.token(t.Context(), "key", mint); err != nil {
					t.Fatal(err)
				}
			}
			stored := len(s.keys("token"))
			close(release)
			if token := <-got; token != want {
				t.Errorf("the paused machine uses %s, want %s", token, want)
			}
			if now := len(s.keys("token")); now != stored {
				t.Errorf("%d tokens are stored, want %d", now, stored)
			}
			next, err := b.token(t.Context(), "key", mint)
			if err != nil {
				t.Fatal(err)
			}
			if token := next.Access.Reveal(); token != "canary-token-2" {
				t.Errorf("the others use %s", token)
			}
		})
	}
}

// TestFencedWriteKeepsANewerLease protects the machine that is minting now:
// one that was paused does not end its lease.
func TestFencedWriteKeepsANewerLease(t *testing.T) {
	s := serve(t)
	i, a, b := pair(t, s, Options{Lease: time.Minute})
	aBegan, aRelease := make(chan struct{}), make(chan struct{})
	bBegan, bRelease := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	mint := func(m *machine, began, release chan struct{}) {
		wg.Go(func() {
			if _, err := m.token(context.Background(), "key", func(context.Context) (*delegation.Token, error) {
				close(began)
				<-release
				return i.fresh(), nil
			}); err != nil {
				t.Error(err)
			}
		})
		<-began
	}
	mint(a, aBegan, aRelease)
	s.do("DEL", s.keys("lease")[0])
	mint(b, bBegan, bRelease)
	close(aRelease)
	until(t, 5*time.Second, "the paused machine is done", func() bool { return i.mints.Load() == 1 })
	if len(s.keys("lease")) != 1 {
		t.Error("the other machine's lease is gone")
	}
	close(bRelease)
	wg.Wait()
	if len(s.keys("token")) != 1 || len(s.keys("lease")) != 0 {
		t.Error("the holder's token was not stored")
	}
}

// TestDeadMachine protects people from a machine that dies while it mints:
// when its lease runs out, one that waits takes over.
func TestDeadMachine(t *testing.T) {
	s := serve(t)
	i, a, b := pair(t, s, Options{Lease: 2 * time.Second})
	began, dead, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = a.token(context.Background(), "key", func(context.Context) (*delegation.Token, error) {
			close(began)
			<-dead // Redis cannot be told any more when this returns
			return nil, context.Canceled
		})
	}()
	<-began
	_ = a.fleet.Close()
	close(dead)
	<-gone
	if len(s.keys("lease")) != 1 {
		t.Fatal("the lease should be there still")
	}
	if _, err := b.token(t.Context(), "key", func(context.Context) (*delegation.Token, error) { return i.fresh(), nil }); err != nil {
		t.Error(err)
	}
}
