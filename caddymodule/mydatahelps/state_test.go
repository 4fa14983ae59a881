// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import (
	"testing"
	"testing/synctest"
)

// A reload keeps the pins, the lookups and the quota; an old configuration's
// provider and a new one's agree.
func TestStateOutlivesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pf := newPlatform(people(2)...)
		p, h := open(t, testConfig(ByField), pf)
		wantParticipant(t, p, "planted-0", guid(0), "")
		next, err := New(testConfig(ByField))
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Open(h); err != nil {
			t.Fatal(err)
		}
		if next.client != p.client {
			t.Error("another HTTP client")
		}
		wantParticipant(t, next, "planted-0", guid(0), "")
		wantParticipant(t, next, "planted-1", guid(1), "")
		if gets, lists, grants, service := pf.counts(); gets != 2 || lists != 1 || grants != 2 || service != 1 {
			t.Errorf("%d lookups, %d pages, %d grants, %d service tokens", gets, lists, grants, service)
		}
	})
}
