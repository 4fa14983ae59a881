// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"testing"
	"time"
)

// TestFull_WhatCanBeReadIsKnown protects who has signed out from a Redis that
// takes no writes: a machine that starts reads who has before it lets anybody in.
func TestFull_WhatCanBeReadIsKnown(t *testing.T) {
	for name, command := range map[string][]string{
		"full":      {"CONFIG", "SET", "maxmemory", "1000000"}, // noeviction is the default
		"a replica": {"REPLICAOF", "127.0.0.1", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			l, r, a, b := fleetOf(t)
			alice, bob := l.session("alice", ago(time.Minute)), l.session("bob", ago(time.Minute))
			a.want("before", alice, http.StatusOK)
			a.signOut(alice)
			b.ends("there", alice)
			r.do(command...)
			b.restart()
			b.want("after a restart", alice, http.StatusUnauthorized)
			b.want("bob", bob, http.StatusOK)
			if up, _ := b.admin.shared(); up {
				t.Error("it takes writes")
			}
			if n := len(r.keys("revoked")); n != 1 {
				t.Errorf("%d records", n)
			}
		})
	}
}
