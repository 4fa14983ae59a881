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

// TestPerAddressAtOnce protects what is tried from those who try it many times at
// once, before the first attempt has failed.
func TestPerAddressAtOnce(t *testing.T) {
	l := NewPerAddress()
	var ends []func()
	for range 2 * maxTrying {
		if end, ok := l.Begin("2001:db8::1"); ok {
			ends = append(ends, end)
		}
	}
	if len(ends) != maxTrying {
		t.Errorf("%d at once", len(ends))
	}
	if _, ok := l.Begin("192.0.2.1"); !ok {
		t.Error("somebody else is stopped")
	}
	for n, end := range ends {
		if n < burst {
			l.Record("2001:db8::2")
		}
		end()
	}
	if _, ok := l.Begin("2001:db8::3"); ok {
		t.Error("too much has failed")
	}
	if len(l.trying) != 1 { // that of 192.0.2.1
		t.Errorf("left: %v", l.trying)
	}
}
