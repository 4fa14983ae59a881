// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestRenewalsLeaveRoom protects those who wait from renewals that nobody waits
// for: these have half of the slots at most. It is one even if there is only one.
func TestRenewalsLeaveRoom(t *testing.T) {
	for concurrency, slots := range map[int]int{1: 1, 2: 1, 8: 4} {
		synctest.Test(t, func(t *testing.T) {
			_, i := start(t, Options{Concurrency: concurrency}, time.Hour)
			people := make([]delegation.Identity, 20)
			for n := range people {
				people[n] = person(fmt.Sprint(n))
				i.get(t, people[n])
			}
			hold := i.holdRenewals(t, people)
			if i.at != slots {
				t.Errorf("%d renewals at an issuer that takes %d; want %d", i.at, concurrency, slots)
			}
			for n := range concurrency - slots {
				go i.want(t, person(fmt.Sprint("waits ", n)), false, "")
			}
			synctest.Wait()
			if i.at != concurrency {
				t.Errorf("%d of %d slots are taken while somebody waits", i.at, concurrency)
			}
			close(hold)
			synctest.Wait()
			if n := i.why[MintAhead]; n != len(people) {
				t.Errorf("%d renewals", n)
			}
		})
	}
}

// TestRenewalThatIsTooLate protects the issuer from renewals for people who may
// have left: one that had no slot before its token lapsed is not made up for.
func TestRenewalThatIsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := start(t, Options{Concurrency: 2}, 5*time.Second)
		people := []delegation.Identity{alice, person("bob")}
		for _, id := range people {
			i.get(t, id)
		}
		hold := i.holdRenewals(t, people)
		time.Sleep(5 * time.Second)
		close(hold)
		synctest.Wait()
		if i.why[MintAhead] != 1 {
			t.Errorf("%d renewals; want the one that had a slot", i.why[MintAhead])
		}
	})
}
