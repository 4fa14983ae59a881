// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import "testing"

// TestSegmentFolded protects the administration API from an identifier that a
// server folds into a way up, or cuts: it names nobody.
func TestSegmentFolded(t *testing.T) {
	for _, s := range []string{"\u2024\u2024", "\u2025", "\uff0e\uff0e", "a\u2044b", "a\u2215b", "a\uff0fb", "a\u037eb", "\u212a", "a\u00a0", "\u3000a", "a\u200b", "\ufeff", ".\ufe0f", "a\u2028b"} {
		if isPathSegment(s) {
			t.Errorf("%+q is a segment", s)
		}
	}
	for _, s := range []string{"a", "Zo\u00eb", "Zoe\u0308", "\u65e5\u672c\u8a9e", "\u0645\u0631\u062d\u0628\u0627", "a@b.org", "...", "a/b", "auth0|1 2"} {
		if !isPathSegment(s) {
			t.Errorf("%+q is none", s)
		}
	}
}
