// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// TestA11_TrailersOfRequests protects the platform from names that it would
// believe of a proxy, after the body, where nothing has looked: announced or
// not. Over HTTP/2: integration/fault_answer_test.go.
func TestA11_TrailersOfRequests(t *testing.T) {
	names := []string{"Remote-User", "X_Api_Key", "X-Participant-Id", "x.participant.id", "X-User", "Auth-Request-Email", "Content-Type", "If-None-Match", "X-Internal"}
	r := start(t, caddyfile("", site(""), passing))
	alice := r.cookie("alice")
	body := "3\r\nabc\r\n0\r\n"
	for _, name := range names {
		body += name + ": " + stack.Bob.ID + "\r\n"
	}
	for _, announced := range []string{strings.Join(names, ", "), "X-Checksum", "Remote-User"} {
		lines := []string{alice, "Content-Type: text/plain", "Transfer-Encoding: chunked", "Trailer: " + announced}
		record := r.served(announced, stack.Alice, func() reply {
			return r.send(http1("POST", "/mdh"+apiEcho, r.authority(false), lines...) + body + "\r\n")
		})
		if delete(record.Trailer, "X-Checksum"); len(record.Trailer) > 0 {
			t.Errorf("%s: trailers %v", announced, record.Trailer)
		}
		record = r.crossed(announced, func() reply { return r.send(http1("POST", apiEcho, r.authority(true), lines...) + body + "\r\n") })
		if _, ok := record.Trailer["Remote-User"]; ok != strings.Contains(announced, "Remote-User") {
			t.Errorf("control, %s: trailers %v", announced, record.Trailer)
		}
	}
}
