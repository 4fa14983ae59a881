// SPDX-License-Identifier: Apache-2.0

package delegation

import "testing"

// TestIsScope protects token requests from a scope that is two, or none: the
// form field is space-separated (RFC 6749 section 3.3).
func TestIsScope(t *testing.T) {
	for text, want := range map[string]bool{
		"Participant:read": true, "get:/timeline": true, "!": true, "~": true, "#[]": true,
		"": false, "a b": false, `a"b`: false, `a\b`: false, "a\tb": false, "a\x7f": false, "ä": false,
	} {
		if IsScope(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}
