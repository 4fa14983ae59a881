// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/mydex"
)

// TestRa_MydexRepeatsItsAddress protects the member's key, which stands in the
// query, and the operator's bearer from pages that repeat what they were called
// by: an error page with the address in it, as frameworks make them, or an
// answer that looks like any other.
func TestRa_MydexRepeatsItsAddress(t *testing.T) {
	m := startMydex(t, mydexCaddyfile("", passingToMydex))
	robin := m.member(0)
	alice := m.connect("alice", robin)
	bearer := strings.TrimPrefix(m.bearer(alice), "Authorization: Bearer ")
	hands := func(got reply) bool {
		text := got.body
		for name, values := range got.header {
			text += name + strings.Join(values, " ")
		}
		for name, values := range got.trailer {
			text += name + strings.Join(values, " ")
		}
		decoded, _ := url.QueryUnescape(strings.ReplaceAll(text, "%", "%25"))
		for _, secret := range []string{robin.Key, bearer} {
			if strings.Contains(text, secret) || strings.Contains(decoded, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				return true
			}
		}
		return false
	}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError} {
		m.mydex.Set(func(s *mydex.Settings) { s.EchoAddress = status })
		for _, prefix := range proxies {
			for _, path := range []string{datasetPath, eventsPath} {
				for _, lines := range [][]string{{alice}, {alice, "Accept-Encoding: gzip, br", "Range: bytes=0-80"}} {
					got := m.ask("GET", prefix+path, lines...)
					if got.status != status || hands(got) || !strings.Contains(got.body, "con_id") {
						t.Errorf("%d, %s: %d %v %s", status, prefix+path, got.status, got.header, got.body)
					}
				}
			}
		}
		if got := m.askHome("GET", datasetPath+"&key="+robin.Key, "Authorization: Bearer "+bearer); got.status != status || !hands(got) {
			t.Errorf("control, %d: %d %s", status, got.status, got.body)
		}
	}
}
