// SPDX-License-Identifier: Apache-2.0

package headers

import (
	"net/http"
	"strings"
	"testing"
)

// TestTooLarge protects the upstream's limit, which counts names and 32 bytes
// a field besides the values.
func TestTooLarge(t *testing.T) {
	many := make(http.Header)
	for i := range 150 {
		many["Accept-"+strings.Repeat("x", i)] = []string{""}
	}
	for name, c := range map[string]struct {
		uri  string
		h    http.Header
		want bool
	}{
		"usual":  {"/api/v1/delegated/participant", http.Header{"Accept": {"*/*"}}, false},
		"target": {"/" + strings.Repeat("a", MaxSize), nil, true},
		"value":  {"/", http.Header{"Accept": {strings.Repeat("a", MaxSize)}}, true},
		"values": {"/", http.Header{"Accept": make([]string, MaxSize/32)}, true},
		"names":  {"/", many, true},
	} {
		if got := TooLarge(c.uri, c.h); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
