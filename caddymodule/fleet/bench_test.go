// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// BenchmarkToken protects the time that a request waits for a token which
// another machine has minted: one round trip, seven reads in it.
func BenchmarkToken(b *testing.B) {
	_, m, _ := pair(b, serve(b), Options{})
	id := person("alice")
	serves := func(*delegation.Token) bool { return true }
	i := m.issuer
	ask := func() {
		if _, err := m.member.Token(context.Background(), "key", &id, serves, func(context.Context) (*delegation.Token, error) { return i.fresh(), nil }); err != nil {
			b.Error(err)
		}
	}
	ask()
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ask()
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ask()
			}
		})
	})
	if n := i.mints.Load(); n != 1 {
		b.Errorf("%d mints", n)
	}
}
