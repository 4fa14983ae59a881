// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"strconv"
	"testing"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestCrowd protects people who connect all at once, as after a letter to everybody:
// each has a grant, of their own account, and nobody is sent away because the others
// are there. CONNECTS=10000 has it be as many.
func TestCrowd(t *testing.T) {
	people := numberOf(t, "CONNECTS", 100)
	each(t, func(t *testing.T, at Options) {
		d := newDesk(t, at, "page")
		names := make([]string, people)
		for n := range names {
			names[n] = "user-" + strconv.Itoa(n)
		}
		began := time.Now()
		crowd(people, func(n int) {
			if _, err := d.PairwiseID(t.Context(), person(names[n])); err != nil {
				t.Errorf("%s, identifier: %s", names[n], delegation.Explain(err))
			}
			started, err := d.Start(t.Context(), StartRequest{Person: person(names[n]), ReturnURL: "https://app.test/return"})
			if err != nil {
				t.Errorf("%s, start: %s", names[n], delegation.Explain(err))
				return
			}
			done, err := d.hands(d.Consents, names[n], started.BrowserToken, strconv.Itoa(n)+"-token")
			if err != nil || !done.First || done.Person != person(names[n]) || done.Reply["public"] != strconv.Itoa(n) {
				t.Errorf("%s: %+v, %s", names[n], done, delegation.Explain(err))
			}
		})
		took := time.Since(began)
		if calls := d.redeemed.Load(); calls != int64(people) {
			t.Errorf("the platform was asked %d times", calls)
		}
		if saved := all(t, d.store); len(saved) != people {
			t.Errorf("%d grants", len(saved))
		}
		for n, name := range names {
			if account := d.account(name); account != strconv.Itoa(n) {
				t.Errorf("%s acts as %q", name, account)
			}
		}
		t.Logf("%d people: %v, %.0f a second", people, took.Round(time.Millisecond), float64(people)/took.Seconds())
	})
}
