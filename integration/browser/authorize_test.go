// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestC40_AuthorizeEnds protects pages whose route has a login page in front, or
// whose network stays away: what frontends are told to do ends with an error that
// can be shown, instead of asking for ever.
func TestC40_AuthorizeEnds(t *testing.T) {
	s := start(t, stack.Caddyfile)
	node(t, s, []string{"--test-name-pattern=ends it|keeps failing", "token.test.mjs"}, "APP_URL="+s.URL())
}
