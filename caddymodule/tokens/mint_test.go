// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestJustLanded protects the issuer from who asks while a flight is landing,
// too early to find its outcome and too late to join it: it is found before
// the issuer is asked, a token as well as a failure.
func TestJustLanded(t *testing.T) {
	for _, code := range []delegation.Code{"", delegation.DelegationRefused, delegation.IssuerUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			e, i := start(t, Options{}, time.Hour)
			i.failing(code, 0)
			want, _, _ := i.get(t, alice)
			op := e.purges.Begin(&alice)
			defer op.End()
			l, err := i.view.mintOnce(t.Context(), &request{key: e.keys.identityKey(&alice), id: alice, reason: MintFirst}, op)
			if l != want || isError[rememberedRefusal](err) != (code != "") || i.count() != 1 {
				t.Errorf("%q: %v, %d mints", code, err, i.count())
			}
		})
	}
}

// TestQueueHasAnEnd protects those at the end of a queue that is too long:
// they are told, and the issuer is not blamed.
func TestQueueHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{Concurrency: 1, Timeout: time.Second}, time.Hour)
		i.mint = func(_ context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			time.Sleep(600 * time.Millisecond)
			return &delegation.Token{Access: delegation.NewSecret("x"), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
		}
		codes := make(chan delegation.Code, 3)
		for n := range 3 {
			go func() { _, _, code := i.get(t, person(fmt.Sprint(n))); codes <- code }()
		}
		got := map[delegation.Code]int{}
		for range 3 {
			got[<-codes]++
		}
		if got[delegation.Overloaded] != 1 || got[""] != 2 || e.Status().Issuer.State != Closed {
			t.Errorf("%v, breaker %+v", got, e.Status().Issuer)
		}
	})
}

// TestQueueIsNotTheIssuers protects everybody from a breaker that opens for an
// issuer that is well: whoever had their turn so late that it was cut short
// was held up by the queue.
func TestQueueIsNotTheIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, i := start(t, Options{}, time.Hour)
		i.mint = func(ctx context.Context, id delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			select {
			case <-time.After(700 * time.Millisecond):
				return &delegation.Token{Access: delegation.NewSecret("x"), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		const people = 300 // 16 at a time in 10 s are 224
		codes := make(chan delegation.Code, people)
		for n := range people {
			go func() { _, _, code := i.get(t, person(fmt.Sprint(n))); codes <- code }()
		}
		got := map[delegation.Code]int{}
		for range people {
			got[<-codes]++
		}
		if got[""] < 200 || got[""]+got[delegation.Overloaded] != people || e.Status().Issuer.State != Closed {
			t.Errorf("%v, breaker %+v", got, e.Status().Issuer)
		}
		// An issuer that had all the time is to blame.
		i.mint = func(ctx context.Context, _ delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		i.want(t, alice, false, delegation.IssuerUnavailable)
	})
}
