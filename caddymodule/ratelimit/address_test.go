// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPerAddress protects from one address that fails again and again, and all
// others: an IPv4 address counts however it is written, an IPv6 one as its network.
func TestPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewPerAddress()
		for range burst {
			if l.Spent("192.0.2.1") {
				t.Fatal("too early")
			}
			l.Record("::ffff:192.0.2.1")
		}
		if !l.Spent("192.0.2.1") || l.Spent("192.0.2.2") || l.Spent("::1") || l.Spent("") {
			t.Error("the wrong ones are stopped")
		}
		for range burst {
			l.Record("fe80::1%eth0")
		}
		if !l.Spent("fe80::2") || l.Spent("fe80:0:0:1::1") {
			t.Error("a network is more or less than 64 bits")
		}
		time.Sleep(Interval)
		if l.Spent("192.0.2.1") {
			t.Error("for ever")
		}
	})
}
