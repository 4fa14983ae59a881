// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestT49_SameHostAnotherScheme protects against a page that a network
// attacker made of the same host over plain http, in browsers that send no
// Sec-Fetch-Site: its Origin is not ours, though the host is.
func TestT49_SameHostAnotherScheme(t *testing.T) {
	r := start(t, encrypted(caddyfile("", site(""), passing)))
	cookie := field{"cookie", "__Host-session=" + r.jwt("alice", nil)}
	host := "localhost:" + strconv.Itoa(r.Port)
	for _, origin := range []string{"http://" + host, "ftp://" + host, "https://user@" + host, "https://" + host + "/x"} {
		for _, path := range []string{"/mdh-token", "/mdh" + apiEcho} {
			r.refused(path+", "+origin, http.StatusForbidden, "cross_origin", func() reply {
				return r.send2(r.http2Request("POST", path, cookie, field{"origin", origin}), "")
			})
		}
	}
	r.served("our own page", stack.Alice, func() reply {
		return r.send2(r.http2Request("GET", "/mdh"+apiEcho, cookie, field{"origin", "https://" + host}), "")
	})
}
