// SPDX-License-Identifier: Apache-2.0

package grants

import "testing"

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
