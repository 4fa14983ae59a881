// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestHousekeepingEnds protects what the housekeeping has begun from a database that is
// closed before its outcome is written, and a reload from a vendor that does not answer.
func TestHousekeepingEnds(t *testing.T) {
	new(housekeeper).wait() // was never started
	synctest.Test(t, func(t *testing.T) {
		for takes, want := range map[time.Duration]time.Duration{0: 0, housekeepingEnd / 2: housekeepingEnd / 2, 5 * housekeepingEnd: housekeepingEnd} {
			var h housekeeper
			h.start(nil)
			ctx, stop := context.WithCancel(t.Context())
			h.stop = stop
			h.run(ctx, func(ctx context.Context) {
				<-ctx.Done()
				time.Sleep(takes)
			})
			began := time.Now()
			h.close()
			h.wait()
			got := time.Since(began)
			time.Sleep(takes)
			if got != want {
				t.Errorf("%s: waited for %s", takes, got)
			}
		}
	})
}
