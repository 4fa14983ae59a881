// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// BenchmarkFind shows that a grant is found as fast among a million as among a
// thousand.
func BenchmarkFind(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, size := range []int{1000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				at := Options{Keyset: newKeyset(b), Timeout: time.Minute}
				if kind == "sqlite" {
					at.File = filepath.Join(b.TempDir(), "grants.db")
				} else {
					address, err := postgresServer(b).Database(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					at.Postgres = address
				}
				s := opened(b, at)
				fill(b, s, size)
				took := make([]time.Duration, 0, 1<<20)
				for b.Loop() {
					who := owner("user-" + strconv.Itoa(rand.IntN(size)))
					begin := time.Now()
					if _, err := s.Find(context.Background(), who); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(begin))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			})
		}
	}
}

// fill connects so many people, many in each transaction.
func fill(b *testing.B, s *Store, size int) {
	b.Helper()
	const together = 5000
	for from := 0; from < size; from += together {
		err := s.write(b.Context(), "filling", func(ctx context.Context, tx querier) error {
			for i := from; i < min(from+together, size); i++ {
				now := time.Now()
				g := &Grant{ID: newID(), Owner: owner("user-" + strconv.Itoa(i)), Account: strconv.Itoa(i), State: Active, Secret: delegation.NewSecret("0123456789abcdef0123456789abcdef"), Created: now, Changed: now}
				if err := s.insert(ctx, tx, g); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
