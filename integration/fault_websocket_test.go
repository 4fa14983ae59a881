// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestMydexHasNoWebSocket protects a member's key, which stands in the address of
// a handshake as of any request, from a platform that repeats it in a frame:
// masked, cut and compressed, no frame can be searched for it.
func TestMydexHasNoWebSocket(t *testing.T) {
	c := startMydex(t, "", "")
	const line = "allow /api/pds/pds/me.json mydex:pdx"
	for _, more := range []string{"allow WEBSOCKET /api/pds/pds/me.json mydex:pdx", "allow GET,WEBSOCKET /timeline/** get:/timeline"} {
		text := strings.Replace(c.caddyfile("", ""), line, line+"\n\t\t\t"+more, 1)
		err := c.Load(text)
		if err == nil {
			_ = caddy.Stop()
			t.Fatal(more, "was loaded")
		}
		for _, want := range []string{"allow: line 2", "WebSocket", "remove WEBSOCKET"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", more, err, want)
			}
		}
	}
}
