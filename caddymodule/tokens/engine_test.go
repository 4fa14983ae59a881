// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

var alice = delegation.Identity{
	Provider: "p", Issuer: "https://i", Client: "c", Key: "k",
	Person: delegation.Person{Realm: "r", Subject: "alice"}, Participant: "A", Audience: "a", Scopes: []string{"s"}, Config: "1",
}

// minting returns tokens that live for life, and counts them.
func minting(life time.Duration, count *atomic.Int64) delegation.Mint {
	return func(context.Context) (*delegation.Token, error) {
		n := count.Add(1)
		now := time.Now()
		return &delegation.Token{Access: delegation.NewSecret(fmt.Sprint(n)), Minted: now, Expires: now.Add(life)}, nil
	}
}

// TestKeysDiffer protects against one person's token being served to another
// (T06): whatever their parts hold, two identities never share a key.
func TestKeysDiffer(t *testing.T) {
	parts := []string{"", "a", "b", "ab", "a|b", "a:b", "a\x00b", "\x00", "ä", "a ", "1"}
	fields := []func(*delegation.Identity, string){
		func(i *delegation.Identity, s string) { i.Provider = s },
		func(i *delegation.Identity, s string) { i.Issuer = s },
		func(i *delegation.Identity, s string) { i.Client = s },
		func(i *delegation.Identity, s string) { i.Key = s },
		func(i *delegation.Identity, s string) { i.Realm = s },
		func(i *delegation.Identity, s string) { i.Subject = s },
		func(i *delegation.Identity, s string) { i.Participant = s },
		func(i *delegation.Identity, s string) { i.Audience = s },
		func(i *delegation.Identity, s string) { i.Config = s },
		func(i *delegation.Identity, s string) { i.Scopes = []string{s} },
		func(i *delegation.Identity, s string) { i.Scopes = []string{"a", s} },
	}
	seen := map[string]delegation.Identity{}
	for _, first := range fields {
		for _, second := range fields {
			for _, a := range parts {
				for _, b := range parts {
					var id delegation.Identity
					first(&id, a)
					second(&id, b)
					k := key(&id)
					if other, ok := seen[k]; ok && !same(&id, &other) {
						t.Fatalf("%+v and %+v share a key", id, other)
					}
					seen[k] = id
				}
			}
		}
	}
	if len(seen) < 1000 {
		t.Fatalf("only %d identities were compared", len(seen))
	}
}

// TestHitIsVerified protects against a collision of keys: the tuple decides.
func TestHitIsVerified(t *testing.T) {
	e := New(0)
	bob := alice
	bob.Subject = "bob"
	now := time.Now()
	e.entries.Set(key(&alice), &entry{bob, &delegation.Token{Minted: now, Expires: now.Add(time.Hour)}}, time.Hour)
	var count atomic.Int64
	if _, cached, err := e.Get(t.Context(), alice, minting(time.Hour, &count)); cached || err != nil || count.Load() != 1 {
		t.Errorf("cached %t, err %v, %d mints; want a mint of her own", cached, err, count.Load())
	}
}

// TestOneFlight protects the issuer: however many ask at once, one mint; and a
// failure answers them all, once.
func TestOneFlight(t *testing.T) {
	for name, fail := range map[string]error{"good": nil, "refused": delegation.Refuse(delegation.DelegationRefused, nil)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := New(0)
				var mints atomic.Int64
				release := make(chan struct{})
				mint := func(ctx context.Context) (*delegation.Token, error) {
					<-release
					if fail != nil {
						mints.Add(1)
						return nil, fail
					}
					return minting(time.Hour, &mints)(ctx)
				}
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						if _, _, err := e.Get(t.Context(), alice, mint); !errors.Is(err, fail) {
							t.Errorf("err %v, want %v", err, fail)
						}
					})
				}
				synctest.Wait()
				close(release)
				wg.Wait()
				if mints.Load() != 1 {
					t.Errorf("%d mints", mints.Load())
				}
			})
		})
	}
}

// TestLeaderLeaves protects those who wait: the one whose request began the
// mint goes away, and leaves at once; the others get their token.
func TestLeaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(0)
		release := make(chan struct{})
		var mints atomic.Int64
		mint := func(ctx context.Context) (*delegation.Token, error) {
			<-release
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return minting(time.Hour, &mints)(ctx)
		}
		ctx, leave := context.WithCancel(t.Context())
		leader := make(chan error)
		go func() { _, _, err := e.Get(ctx, alice, mint); leader <- err }()
		synctest.Wait()
		waiter := make(chan error)
		go func() { _, _, err := e.Get(t.Context(), alice, mint); waiter <- err }()
		synctest.Wait()
		leave()
		if err := <-leader; !errors.Is(err, context.Canceled) {
			t.Errorf("leader: %v", err)
		}
		close(release)
		if err := <-waiter; err != nil {
			t.Errorf("waiter: %v", err)
		}
	})
}

// TestMintHasADeadline protects against an issuer that never answers.
func TestMintHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(3 * time.Second)
		began := time.Now()
		_, _, err := e.Get(t.Context(), alice, func(ctx context.Context) (*delegation.Token, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// TestExpiry protects requests from a token that expires on its way, and
// short-lived tokens from never being used at all (T36).
func TestExpiry(t *testing.T) {
	for life, serves := range map[time.Duration]time.Duration{
		time.Hour:        time.Hour - 30*time.Second,
		30 * time.Second: 27 * time.Second,
		time.Second:      900 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			e := New(0)
			var count atomic.Int64
			mint := minting(life, &count)
			get := func() bool { _, cached, _ := e.Get(t.Context(), alice, mint); return cached }
			get()
			time.Sleep(serves - time.Millisecond)
			if !get() {
				t.Errorf("a token of %s was not served until %s", life, serves)
			}
			time.Sleep(2 * time.Millisecond)
			if get() || count.Load() != 2 {
				t.Errorf("a token of %s was served after %s", life, serves)
			}
		})
	}
}

// TestRenewOnce protects the issuer from a storm of 401s: however many report
// the same stale token, one mint; and a late report gets the new one.
func TestRenewOnce(t *testing.T) {
	e := New(0)
	var count atomic.Int64
	mint := minting(time.Hour, &count)
	stale, _, _ := e.Get(t.Context(), alice, mint)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if fresh, err := e.Renew(t.Context(), alice, stale, mint); err != nil || fresh == stale {
				t.Errorf("renewed to the stale token: %v", err)
			}
		})
	}
	wg.Wait()
	if count.Load() != 2 {
		t.Errorf("%d mints, want 2", count.Load())
	}
}

// TestForgetIsFinal protects a logout (T57): a token that was being minted is
// neither used nor kept, and other people keep theirs.
func TestForgetIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(0)
		var count atomic.Int64
		bob := alice
		bob.Person.Subject = "bob"
		_, _, _ = e.Get(t.Context(), bob, minting(time.Hour, &count))

		release := make(chan struct{})
		got := make(chan error)
		go func() {
			_, _, err := e.Get(t.Context(), alice, func(ctx context.Context) (*delegation.Token, error) {
				<-release
				return minting(time.Hour, &count)(ctx)
			})
			got <- err
		}()
		synctest.Wait()
		e.Forget(alice.Person)
		close(release)
		if err := <-got; delegation.AsRefusal(err).Code != delegation.SessionRequired {
			t.Errorf("the mint in flight was used: %v", err)
		}
		if _, cached, err := e.Get(t.Context(), alice, minting(time.Hour, &count)); cached || err != nil {
			t.Errorf("cached %t, err %v; want a new token", cached, err)
		}
		if _, cached, _ := e.Get(t.Context(), bob, minting(time.Hour, &count)); !cached {
			t.Error("bob lost his token")
		}
		e.Forget(alice.Person)
		if e.entries.ItemCount() != 1 {
			t.Errorf("%d tokens are left, want bob's", e.entries.ItemCount())
		}
	})
}

// TestSweep protects memory: what has expired does not stay.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(0)
		var count atomic.Int64
		for i := range 100 {
			id := alice
			id.Subject = fmt.Sprint(i)
			_, _, _ = e.Get(t.Context(), id, minting(time.Minute, &count))
		}
		time.Sleep(2 * time.Minute)
		_, _, _ = e.Get(t.Context(), alice, minting(time.Minute, &count))
		if e.entries.ItemCount() != 1 {
			t.Errorf("%d tokens are kept, want 1", e.entries.ItemCount())
		}
	})
}
