// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestVersion4 protects everybody who had connected a data source, or was on the way to,
// when the program before version 5 of the tables was updated: in testdata alice and carol
// are connected, bob was suspended and is tried again, dave's flow is open and erin's
// staged. All act as before, flows end, nothing ends or is told by itself, and the vendor
// is told of who leaves, at once or later.
func TestVersion4(t *testing.T) {
	ofVersion(t, "version4", func(t *testing.T, at Options, flows map[string][3]string) {
		d, vendor := newSourceDesk(t, at)
		back := func(who string) *Started {
			return &Started{State: delegation.NewSecret(flows[who][0]), BrowserToken: delegation.NewSecret(flows[who][1])}
		}
		d.housekeeps()
		for who, want := range map[string]string{"alice": "1", "bob": "2", "carol": "3"} {
			if got := d.account(who); got != want {
				t.Errorf("%s acts as %q; want %q", who, got, want)
			}
		}
		if got := states(t, d.store); got != "3 active, 0 suspended, 0 conflict, 0 retired" || vendor.toldWith() != "" || queued(t, d.store) != "" || strings.Join(vendor.spent, " ") != "refresh-of-bob" {
			t.Errorf("%s; told with %q, queued %q, spent %q", got, vendor.toldWith(), queued(t, d.store), vendor.spent)
		}
		if first, err := d.returns("erin", back("erin"), nil); !first || err != nil || d.account("erin") != "5" {
			t.Errorf("erin signs in: %t, %v", first, err)
		}
		if first, err := d.returns("dave", back("dave"), withCode("4-dave")); !first || err != nil || d.account("dave") != "4" {
			t.Errorf("dave comes back: %t, %v", first, err)
		}
		if untold, err := d.leaves("alice"); untold != nil || err != nil || vendor.toldWith() != "access-of-alice" {
			t.Errorf("alice leaves: %v, %v, told with %q", untold, err, vendor.toldWith())
		}
		vendor.answers(errAway)
		if untold, err := d.leaves("erin"); untold == nil || err != nil || queued(t, d.store) != "5" {
			t.Errorf("erin leaves: %v, %v, queued %q", untold, err, queued(t, d.store))
		}
		vendor.answers(nil)
		d.housekeeps()
		if got := vendor.toldWith(); got != "access-of-erin" || d.account("carol") != "3" {
			t.Errorf("told with %q", got)
		}
	})
}
