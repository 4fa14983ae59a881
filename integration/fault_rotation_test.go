// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/keyset"
)

// TestRotation_ByRestarts protects who has signed out from a keyset that is
// rotated while the machines begin anew, as a deployment with another secret has
// it: what an earlier key sealed is sealed anew before that key is dropped, and
// not again each time.
func TestRotation_ByRestarts(t *testing.T) {
	l, s, r := newLogin(t), newStack(t), newRedis(t)
	_, lines := sharingLines(t, s, r)
	c := administered(l.caddyfile(lines))
	machines := []*machine{newMachine(t, s, c), newMachine(t, s, c)}
	alice, bob := l.session("alice", ago(time.Minute)), l.session("bob", ago(time.Minute))
	machines[0].shares()
	machines[1].shares()
	machines[0].want("before", alice, http.StatusOK)
	machines[0].signOut(alice)
	machines[1].ends("there", alice)
	for range 6 {
		if _, err := keyset.Rotate(filepath.Join(s.Dir, "keyset.json")); err != nil {
			t.Fatal(err)
		}
		for _, m := range machines {
			m.restart()
			m.shares()
			m.want("signed out", alice, http.StatusUnauthorized)
			m.want("bob", bob, http.StatusOK)
		}
	}
	entries := func() (all string) {
		for _, stream := range r.keys("purges") {
			all += stream + " " + r.do("XLEN", stream) + "\n"
		}
		return all
	}
	before := entries()
	for _, m := range machines {
		m.restart()
		m.shares()
	}
	if records := r.keys("revoked"); len(records) > 4 {
		t.Errorf("%d records", len(records))
	}
	if after := entries(); after != before {
		t.Errorf("records are told although nothing has changed: %s, before %s", after, before)
	}
}
