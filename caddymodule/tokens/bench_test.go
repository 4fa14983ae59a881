// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// quietIssuer is a client that does nothing but mint.
type quietIssuer struct{ issuer }

func (*quietIssuer) ObserveRequest(RequestResult) {}

func (*quietIssuer) BeginMint(ctx context.Context, _ *delegation.Identity, _ MintReason) (context.Context, func(*delegation.Token, error)) {
	return ctx, func(*delegation.Token, error) {}
}

// BenchmarkHit is a token at hand, for one person and for many.
func BenchmarkHit(b *testing.B) {
	for _, people := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(people), func(b *testing.B) {
			e := New(Options{MaxEntries: 2 * people})
			v := e.Attach(&quietIssuer{issuer{life: time.Hour}})
			ids := make([]delegation.Identity, people)
			for n := range ids {
				ids[n] = person(fmt.Sprint(n))
				if _, _, err := v.Get(b.Context(), ids[n]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if _, cached, _ := v.Get(b.Context(), ids[n%people]); !cached {
					b.Fatal("it was not at hand")
				}
				n++
			}
		})
	}
}

// BenchmarkMint is a token that has to be minted, by an issuer that takes no time.
func BenchmarkMint(b *testing.B) {
	e := New(Options{})
	v := e.Attach(&quietIssuer{issuer{life: time.Hour}})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if _, _, err := v.Get(b.Context(), person(fmt.Sprint(n))); err != nil {
			b.Fatal(err)
		}
	}
}
