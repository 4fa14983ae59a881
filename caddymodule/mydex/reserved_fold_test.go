// SPDX-License-Identifier: Apache-2.0

package mydex

import (
	"net/url"
	"testing"
)

// TestFoldedNames protects a member's parameters from names that a server folds
// into them, and leaves the names of other scripts alone.
func TestFoldedNames(t *testing.T) {
	for _, name := range []string{
		"\uff55\uff49\uff44", "u\u00adid", "uid\u200b", "\ufeffuid", "\u00a0uid", "uid\u3000", "\u24e4id", "con\uff3fid", "x\uff06uid", "x\ufe60key", "\u212aey", "\U0001d424ey",
		"uid\uff3b\uff3d", "\uff31", "so\u200burce_type",
	} {
		for _, spelling := range []string{name, url.QueryEscape(name), url.QueryEscape(url.QueryEscape(name))} {
			if got, err := stripReserved("a=1&" + spelling + "=2&b=3"); err != nil || got != "a=1&b=3" {
				t.Errorf("%+q: %q, %v", spelling, got, err)
			}
		}
	}
	for _, name := range []string{"\u00fcid", "u\u0308ber", "\u65e5\u672c", "\u0645\u0631\u062d\u0628\u0627", "monkey\u00e9"} {
		query := url.QueryEscape(name) + "=2"
		if got, err := stripReserved(query); err != nil || got != query {
			t.Errorf("%+q: %q, %v", name, got, err)
		}
	}
}
