// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"path/filepath"
	"strconv"
	"testing"
)

// TestStudyEnds protects everybody whose study ends on the same day from being kept, while
// a vendor that hangs is told of the first of them: it is told when all are deleted.
func TestStudyEnds(t *testing.T) {
	d, vendor := newLeaverDesk(t, Options{File: filepath.Join(t.TempDir(), "grants.db"), Keyset: newKeyset(t)})
	for i := range housekeepingBatch + 1 {
		d.connects("user-"+strconv.Itoa(i), strconv.Itoa(i))
	}
	alter(t, d.store, "UPDATE grants SET ends = 1")
	vendor.during = func() {
		if left := all(t, d.store); len(left) > 0 {
			t.Errorf("the vendor is told before %d are deleted", len(left))
		}
	}
	d.housekeeps()
	d.housekeeps()
	if left := all(t, d.store); len(left) > 0 || len(vendor.told) < housekeepingBatch {
		t.Errorf("%d are left, told %d times", len(left), len(vendor.told))
	}
}
