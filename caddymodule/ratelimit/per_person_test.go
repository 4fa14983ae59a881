// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestPerPerson protects platforms from one person who does the same again and again, and
// everybody else from being stopped by that.
func TestPerPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		alice, other := delegation.Person{Realm: "app", Subject: "alice"}, delegation.Person{Realm: "app2", Subject: "alice"}
		for n := range burst + 3 {
			if got := l.Allow(alice); got != (n < burst) {
				t.Errorf("%d: %t", n, got)
			}
		}
		if !l.Allow(other) {
			t.Error("somebody else is stopped")
		}
		time.Sleep(Interval)
		if !l.Allow(alice) || l.Allow(alice) {
			t.Error("not once more after the interval")
		}
	})
}
