// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"testing"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestImportShared protects whoever was imported from losing the consent when somebody
// else leaves who has the same account by another application of the same client: a vendor
// may end both with one.
func TestImportShared(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		d.connects("alice", "1")
		v := newImporter(false)
		r := newImportRig(t, at, v)
		r.o.Provider, r.o.Client = "other", d.o.Client
		line := v.lineOf("bob")
		line.Account, v.accounts["bob"] = "1", "1"
		r.imports(line, Imported, "")
		if untold, err := d.leaves("alice"); untold != nil || err != nil || vendor.toldWith() != "" || queued(t, d.store) != "" {
			t.Errorf("%v, %v: told with %q, queued %q", untold, err, vendor.toldWith(), queued(t, d.store))
		}
	})
}

// TestImportLeftMeanwhile protects who leaves while their imported token is spent from
// staying known to the vendor: it is told with what it has issued for that.
func TestImportLeftMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		d, vendor := newLeaverDesk(t, at)
		v := newImporter(false)
		g := &Grant{Owner: owner("alice"), Account: "1", Client: d.o.Client, Tokens: *v.issuer.tokens("alice", 0)}
		begun, err := d.store.BeginImport(t.Context(), g, v.lineOf("alice").Token(), false)
		if err != nil {
			t.Fatal(err)
		}
		l := leased(t, d.store, begun, LeaseRefresh)
		vendor.answers(errAway)
		if _, err := d.leaves("alice"); err != nil {
			t.Fatal(err)
		}
		vendor.answers(nil)
		tokens := delegation.GrantTokens{Access: delegation.NewSecret("late access"), Refresh: delegation.NewSecret("late refresh")}
		want(t, "storing", l.FinishImport(t.Context(), &delegation.ConsentResult{Account: "1", Tokens: tokens}, importUsed), ErrNotFound)
		d.housekeeps()
		if n := len(vendor.spent); n == 0 || vendor.spent[n-1] != "late refresh" || vendor.toldWith() == "" || queued(t, d.store) != "" {
			t.Errorf("spent %q, told with %q, queued %q", vendor.spent, vendor.toldWith(), queued(t, d.store))
		}
	})
}
