// SPDX-License-Identifier: Apache-2.0

package delegation

import "testing"

// TestCutMount protects one upstream's credential from the paths of another:
// Mount is a whole segment, and what is none refuses every path.
func TestCutMount(t *testing.T) {
	for _, c := range []struct{ mount, path, rest string }{
		{"", "/", "/"},
		{"", "/a/b", "/a/b"},
		{"/withings", "/withings/", "/"},
		{"/withings", "/withings/measure", "/measure"},
		{"/withings", "/withings/withings/x", "/withings/x"},
		{"/a/b", "/a/b/c", "/c"},
		{"/withings", "/withings", ""},
		{"/withings", "/withingsx/measure", ""},
		{"/withings", "/Withings/measure", ""},
		{"/withings", "/oura/withings/measure", ""},
		{"/withings", "/", ""},
		{"withings", "/withings/measure", ""},
		{"/withings/", "/withings/measure", ""},
		{"/", "/withings/measure", ""},
	} {
		u := Upstream{Mount: c.mount}
		if rest, ok := u.CutMount(c.path); ok != (c.rest != "") || ok && rest != c.rest {
			t.Errorf("%q of %q: %q, %v; want %q", c.mount, c.path, rest, ok, c.rest)
		}
	}
}
