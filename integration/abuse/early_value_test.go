// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT51_OddMarks protects against a mark of early data that somebody in
// between has joined with another: any value counts as 1 (RFC 8470 section
// 5.1).
func TestT51_OddMarks(t *testing.T) {
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
	for _, value := range []string{"1, 1", "0, 1", "1;", "0", "true", ""} {
		r.refused("Early-Data: "+value, http.StatusTooEarly, "too_early", func() reply {
			return r.ask("POST", "/mdh-token", "Early-Data: "+value, alice, "Content-Length: 0")
		})
	}
	r.served("no mark", stack.Alice, func() reply { return r.ask("POST", "/mdh"+apiEcho, alice, "Content-Length: 0") })
}
