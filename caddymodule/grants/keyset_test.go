// SPDX-License-Identifier: Apache-2.0

package grants

import "testing"

// TestTwoKeysets protects users from two machines with different keysets that
// begin with an empty database: neither would meet the other's bindings, and one
// participant would have two users. Nothing need have been written before the
// second one is refused.
func TestTwoKeysets(t *testing.T) {
	each(t, func(t *testing.T, at Options) {
		first := opened(t, at)
		other := at
		other.Keyset = newKeyset(t)
		second, err := Open(t.Context(), other)
		if err == nil {
			_ = second.Close()
		}
		want(t, "with another keyset", err, ErrDamaged)
		if err := first.BindIf(t.Context(), owner("alice"), "A", always); err != nil {
			t.Error(err)
		}
		again, err := Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}
